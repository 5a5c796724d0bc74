"""Calls in the current directory, with the answers that Linux's manual pages promise.

With the argument `linux`, the cases are left out in which a volume departs: then the list is checked on a
file system of Linux.

Not applicable, since a volume has none of it:

- chmod, chown, umask, setuid and sticky bits, access by other users: permissions and owners are constant
- mkfifo, mknod of devices, bind of sockets: there are none (the answer is checked)
- extended attributes, ACLs, chflags: there are none (the answer is checked)
- fallocate, punching holes: there is none (the answer is checked)
- atime by reading: it changes only when it is set (checked)
- ETXTBSY, running of programs: no file is executable unless the mount says so
- EROFS, ENOSPC, EDQUOT, EIO: `sessions.rs` has them
- EXDEV by two mounts: the kernel answers it
"""

import ctypes
import errno
import os
import socket
import stat
import sys
import time

linux = sys.argv[1:] == ["linux"]
libc = ctypes.CDLL(None, use_errno=True)
AT_FDCWD = -100
cases = []


def case(function):
    cases.append(function)
    return function


def departs(function):
    if not linux:
        cases.append(function)
    return function


def fails(number, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except OSError as error:
        wanted = number if isinstance(number, tuple) else (number,)
        names = "/".join(errno.errorcode[each] for each in wanted)
        assert error.errno in wanted, f"{errno.errorcode.get(error.errno)} instead of {names}"
        return
    raise AssertionError(f"success instead of {errno.errorcode.get(number, number)}")


def make(path, data=b""):
    with open(path, "wb") as file:
        file.write(data)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def opened(path, flags=os.O_RDONLY):
    os.close(os.open(path, flags))


def renameat2(old, new, flags):
    done = libc.renameat2(AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), flags)
    if done != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def older(path, field):
    """A time before anything that happens now."""
    value = getattr(os.lstat(path), field)
    time.sleep(0.011)
    return value


LONG = "n" * 255
TOO_LONG = "n" * 256

# --- open, creat ---


@case
def open_makes_a_file_that_is_empty():
    opened("f", os.O_CREAT | os.O_WRONLY)
    assert os.stat("f").st_size == 0 and stat.S_ISREG(os.stat("f").st_mode)


@case
def open_without_create_of_nothing():
    fails(errno.ENOENT, opened, "f")
    fails(errno.ENOENT, opened, "d/f", os.O_CREAT)


@case
def open_exclusive_of_what_exists():
    make("f")
    os.symlink("nothing", "l")
    fails(errno.EEXIST, opened, "f", os.O_CREAT | os.O_EXCL)
    fails(errno.EEXIST, opened, "l", os.O_CREAT | os.O_EXCL)


@case
def open_through_a_file():
    make("f")
    fails(errno.ENOTDIR, opened, "f/x")
    fails(errno.ENOTDIR, opened, "f/x", os.O_CREAT)
    fails(errno.ENOTDIR, opened, "f", os.O_DIRECTORY)


@case
def open_a_directory_for_writing():
    os.mkdir("d")
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_CREAT | os.O_RDONLY, os.O_RDONLY | os.O_TRUNC):
        fails(errno.EISDIR, opened, "d", flags)


@case
def open_with_a_slash_behind_a_new_name():
    fails(errno.EISDIR, opened, "f/", os.O_CREAT | os.O_WRONLY)


@case
def open_truncates_and_sets_times():
    make("f", b"12345")
    before = older("f", "st_mtime_ns"), os.stat("f").st_ctime_ns
    opened("f", os.O_WRONLY | os.O_TRUNC)
    after = os.stat("f")
    assert after.st_size == 0 and after.st_mtime_ns > before[0] and after.st_ctime_ns > before[1]


@case
def open_of_a_new_file_sets_the_times_of_its_directory():
    os.mkdir("d")
    before = older("d", "st_mtime_ns")
    make("d/f")
    assert os.stat("d").st_mtime_ns > before and os.stat("d").st_ctime_ns > before
    before = older("d", "st_mtime_ns")
    make("d/f")
    assert os.stat("d").st_mtime_ns == before


@case
def open_through_a_link_makes_its_target():
    os.symlink("target", "l")
    make("l", b"x")
    assert read("target") == b"x" and os.path.islink("l")


@case
def open_nofollow_of_a_link():
    make("f")
    os.symlink("f", "l")
    fails(errno.ELOOP, opened, "l", os.O_NOFOLLOW)


@case
def open_of_links_in_a_loop():
    os.symlink("b", "a")
    os.symlink("a", "b")
    for call in (opened, os.stat, os.listdir):
        fails(errno.ELOOP, call, "a")
    fails(errno.ELOOP, opened, "a/x", os.O_CREAT)
    fails(errno.ELOOP, os.truncate, "a", 0)


@case
def appends_go_to_the_end():
    make("f", b"12")
    one, two = (os.open("f", os.O_WRONLY | os.O_APPEND) for _ in range(2))
    os.write(one, b"3")
    os.write(two, b"4")
    os.write(one, b"5")
    os.close(one)
    os.close(two)
    assert read("f") == b"12345"


@case
def reading_what_is_open_for_writing_only():
    make("f", b"x")
    fd = os.open("f", os.O_WRONLY)
    fails(errno.EBADF, os.read, fd, 1)
    os.close(fd)
    fd = os.open("f", os.O_RDONLY)
    fails(errno.EBADF, os.write, fd, b"x")
    fails((errno.EINVAL, errno.EBADF), os.ftruncate, fd, 0)
    os.close(fd)


@case
def a_temporary_file_without_a_name_is_refused_or_works():
    # Not every file system has it; programs then make a file with a name.
    try:
        opened(".", os.O_TMPFILE | os.O_RDWR)
    except OSError as error:
        assert error.errno in (errno.EOPNOTSUPP, errno.EISDIR)


# --- names ---


@case
def names_of_255_bytes_and_not_more():
    make(LONG)
    assert os.listdir(".") == [LONG]
    os.unlink(LONG)
    for call in (os.mkdir, os.stat, os.unlink, os.rmdir, lambda path: opened(path, os.O_CREAT), make):
        fails(errno.ENAMETOOLONG, call, TOO_LONG)
    make("f")
    for call in (os.rename, os.link, os.symlink):
        fails(errno.ENAMETOOLONG, call, "f", TOO_LONG)


@case
def paths_of_4095_bytes_and_not_more():
    path = "/".join(["."] * 2047) + "/f"
    assert len(path) == 4095
    make("f")
    os.stat(path)
    fails(errno.ENAMETOOLONG, os.stat, path + "x")


@case
def names_are_bytes_of_utf8():
    for name in ("ä", "\N{PILE OF POO}", "a b", "new\nline", "-rf", "\\", "..."):
        make(name, name.encode())
    assert sorted(os.listdir(".")) == sorted(["ä", "\N{PILE OF POO}", "a b", "new\nline", "-rf", "\\", "..."])
    for name in os.listdir("."):
        assert read(name) == name.encode()


@departs
def names_that_are_not_utf8():
    for call in (os.mkdir, os.stat, os.unlink, os.rmdir, make):
        fails(errno.EILSEQ, call, b"\xff\xfe")
    make("f")
    for call in (os.rename, os.link, os.symlink):
        fails(errno.EILSEQ, call, b"f", b"\xff")
    fails(errno.EILSEQ, os.symlink, b"\xff", b"l")
    assert os.listdir(".") == ["f"]


@case
def names_differ_by_case():
    make("a", b"1")
    make("A", b"2")
    assert (read("a"), read("A")) == (b"1", b"2")


@case
def a_missing_name_is_found_once_it_is_made():
    for _ in range(3):
        fails(errno.ENOENT, os.stat, "f")
        make("f")
        os.stat("f")
        os.unlink("f")
    fails(errno.ENOENT, os.stat, "g")
    make("f")
    os.rename("f", "g")
    os.stat("g")
    fails(errno.ENOENT, os.stat, "f")
    os.link("g", "f")
    os.stat("f")


# --- mkdir, rmdir ---


@case
def mkdir_and_what_a_directory_is():
    os.mkdir("d")
    found = os.stat("d")
    assert stat.S_ISDIR(found.st_mode)
    assert os.listdir("d") == []


@departs
def a_directory_counts_the_directories_in_it():
    os.mkdir("d")
    assert os.stat("d").st_nlink == 2
    os.mkdir("d/e")
    assert os.stat("d").st_nlink == 3
    os.rmdir("d/e")
    assert os.stat("d").st_nlink == 2


@case
def mkdir_of_what_exists():
    os.mkdir("d")
    make("f")
    os.symlink("nothing", "l")
    for name in ("d", "f", "l", "d/", "."):
        fails(errno.EEXIST, os.mkdir, name)
    fails(errno.ENOENT, os.mkdir, "x/y")
    fails(errno.ENOTDIR, os.mkdir, "f/y")


@case
def mkdir_with_a_slash_behind_the_name():
    os.mkdir("d/")
    assert os.path.isdir("d")


@case
def rmdir_of_what_is_no_empty_directory():
    os.makedirs("d/e")
    make("f")
    os.symlink("d/e", "l")
    fails(errno.ENOTEMPTY, os.rmdir, "d")
    fails(errno.ENOTDIR, os.rmdir, "f")
    fails(errno.ENOTDIR, os.rmdir, "l")
    fails(errno.ENOENT, os.rmdir, "x")
    fails(errno.EINVAL, os.rmdir, "d/e/.")
    fails(errno.ENOTEMPTY, os.rmdir, "d/e/..")
    os.rmdir("d/e")
    os.rmdir("d")


@case
def a_removed_directory_that_a_program_stands_in():
    os.mkdir("d")
    fd = os.open("d", os.O_RDONLY)
    os.rmdir("d")
    assert os.listdir(fd) == [] and os.fstat(fd).st_nlink == 0
    for call in (lambda: os.open("x", os.O_CREAT | os.O_WRONLY, dir_fd=fd), lambda: os.mkdir("x", dir_fd=fd)):
        fails(errno.ENOENT, call)
    os.mkdir("d")
    assert os.stat("d").st_ino != os.fstat(fd).st_ino
    os.close(fd)


@case
def a_removed_working_directory():
    here = os.getcwd()
    os.mkdir("d")
    os.chdir("d")
    os.rmdir("../d")
    fails(errno.ENOENT, make, "x")
    fails(errno.ENOENT, os.getcwd)
    assert os.stat(".").st_nlink == 0
    assert os.listdir(".") == []
    os.chdir(here)


@case
def removing_sets_the_times_of_the_directory():
    os.makedirs("d/e")
    make("d/f")
    for call, path in ((os.rmdir, "d/e"), (os.unlink, "d/f")):
        before = older("d", "st_mtime_ns"), os.stat("d").st_ctime_ns
        call(path)
        assert os.stat("d").st_mtime_ns > before[0] and os.stat("d").st_ctime_ns > before[1]


# --- unlink ---


@case
def unlink_of_what_is_no_file():
    os.mkdir("d")
    make("f")
    fails((errno.EISDIR, errno.EPERM), os.unlink, "d")
    fails(errno.ENOENT, os.unlink, "x")
    fails(errno.ENOTDIR, os.unlink, "f/")
    fails(errno.ENOTDIR, os.unlink, "f/x")
    os.symlink("d", "l")
    os.unlink("l")
    assert os.path.isdir("d")


@case
def an_open_file_lives_without_a_name():
    make("f", b"12345")
    fd = os.open("f", os.O_RDWR)
    os.unlink("f")
    fails(errno.ENOENT, os.stat, "f")
    assert os.fstat(fd).st_nlink == 0
    os.pwrite(fd, b"67", 5)
    os.ftruncate(fd, 6)
    os.utime(fd, ns=(1, 2))
    assert os.pread(fd, 10, 0) == b"123456" and os.fstat(fd).st_mtime_ns == 2
    os.fsync(fd)
    make("f", b"new")
    assert os.pread(fd, 10, 0) == b"123456" and os.fstat(fd).st_ino != os.stat("f").st_ino
    os.close(fd)
    assert read("f") == b"new"


@case
def a_file_that_is_only_held_lives_without_a_name():
    make("f", b"held")
    fd = os.open("f", os.O_PATH)
    os.unlink("f")
    assert (os.fstat(fd).st_nlink, os.fstat(fd).st_size) == (0, 4)
    again = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY)
    assert os.read(again, 10) == b"held"
    os.close(again)
    assert os.fstat(fd).st_size == 4
    os.close(fd)


@case
def unlink_of_one_of_two_names():
    make("f", b"x")
    os.link("f", "g")
    before = older("f", "st_ctime_ns")
    os.unlink("f")
    assert os.stat("g").st_nlink == 1 and os.stat("g").st_ctime_ns > before and read("g") == b"x"


# --- link ---


@case
def link_is_the_same_file():
    make("f", b"x")
    before = older("f", "st_ctime_ns")
    os.mkdir("d")
    os.link("f", "d/g")
    one, two = os.stat("f"), os.stat("d/g")
    assert (one.st_ino, one.st_nlink, two.st_nlink) == (two.st_ino, 2, 2) and one.st_ctime_ns > before
    make("d/g", b"new")
    assert read("f") == b"new"


@case
def link_of_what_cannot_be_linked():
    make("f")
    os.mkdir("d")
    fails(errno.EEXIST, os.link, "f", "d")
    fails(errno.EEXIST, os.link, "f", "f")
    fails(errno.ENOENT, os.link, "x", "y")
    fails(errno.ENOENT, os.link, "f", "x/y")
    fails(errno.ENOTDIR, os.link, "f", "f/y")
    fails(errno.EPERM, os.link, "d", "e")
    fails((errno.ENOENT, errno.ENOTDIR), os.link, "f", "y/")


@case
def link_of_a_link_is_one_more_name_of_the_link():
    os.symlink("nothing", "l")
    os.link("l", "m", follow_symlinks=False)
    assert os.readlink("m") == "nothing" and os.lstat("l").st_nlink == 2


@case
def link_of_a_file_that_has_no_name_any_more():
    make("f")
    fd = os.open("f", os.O_RDONLY)
    os.unlink("f")
    followed = 0x400
    done = libc.linkat(AT_FDCWD, os.fsencode(f"/proc/self/fd/{fd}"), AT_FDCWD, b"g", followed)
    assert done == -1 and ctypes.get_errno() == errno.ENOENT
    os.close(fd)


# --- symlink, readlink ---


@case
def symlinks_keep_any_target():
    for number, to in enumerate(["f", "../up", "/etc/passwd", "no/such", "x" * 4095, "ä", "a//b/", "."]):
        os.symlink(to, f"l{number}")
        assert os.readlink(f"l{number}") == to
        found = os.lstat(f"l{number}")
        assert stat.S_ISLNK(found.st_mode) and found.st_size == len(to.encode())
    with open("l2") as seen, open("/etc/passwd") as real:
        assert seen.read() == real.read()


@case
def symlinks_that_are_refused():
    make("f")
    fails(errno.EEXIST, os.symlink, "x", "f")
    fails(errno.ENOENT, os.symlink, "", "l")
    fails(errno.ENAMETOOLONG, os.symlink, "x" * 4096, "l")
    fails(errno.ENOENT, os.symlink, "x", "d/l")
    fails(errno.ENOTDIR, os.symlink, "x", "f/l")


@case
def readlink_of_what_is_no_link():
    make("f")
    os.mkdir("d")
    fails(errno.EINVAL, os.readlink, "f")
    fails(errno.EINVAL, os.readlink, "d")
    fails(errno.ENOENT, os.readlink, "x")


@case
def links_on_the_way_are_followed():
    os.makedirs("a/b")
    make("a/b/f", b"deep")
    os.symlink("a", "l")
    os.symlink("../../l/b/f", "a/b/m")
    assert read("l/b/m") == b"deep"
    assert os.path.samefile("l/b/..", "a")


@case
def forty_links_and_not_more():
    make("f")
    os.symlink("f", "l1")
    for number in range(2, 42):
        os.symlink(f"l{number - 1}", f"l{number}")
    os.stat("l40")
    fails(errno.ELOOP, os.stat, "l41")


# --- rename ---


@case
def rename_of_files():
    make("f", b"1")
    make("g", b"2")
    ino = os.stat("f").st_ino
    os.rename("f", "g")
    assert read("g") == b"1" and os.stat("g").st_ino == ino
    fails(errno.ENOENT, os.stat, "f")
    os.mkdir("d")
    os.rename("g", "d/h")
    assert os.listdir("d") == ["h"] and os.stat("d/h").st_ino == ino


@case
def rename_to_itself_or_another_name_of_it():
    make("f", b"x")
    os.link("f", "g")
    os.rename("f", "f")
    os.rename("f", "g")
    assert sorted(os.listdir(".")) == ["f", "g"] and os.stat("f").st_nlink == 2


@case
def rename_over_an_open_file():
    make("f", b"new")
    make("g", b"old")
    fd = os.open("g", os.O_RDONLY)
    os.rename("f", "g")
    assert os.pread(fd, 9, 0) == b"old" and os.fstat(fd).st_nlink == 0 and read("g") == b"new"
    os.close(fd)


@case
def rename_over_a_file_that_is_only_held():
    make("f", b"new")
    make("g", b"former")
    fd = os.open("g", os.O_PATH)
    os.rename("f", "g")
    assert os.fstat(fd).st_size == 6 and os.fstat(fd).st_nlink == 0
    os.close(fd)


@case
def rename_of_directories():
    os.makedirs("a/b")
    make("a/b/f", b"x")
    os.mkdir("c")
    os.rename("a", "c")
    assert read("c/b/f") == b"x"
    os.mkdir("d")
    os.rename("c/b", "d/e")
    assert read("d/e/f") == b"x" and os.listdir("c") == []
    assert os.stat("d/e/..").st_ino == os.stat("d").st_ino


@case
def rename_of_a_directory_a_program_stands_in():
    here = os.getcwd()
    os.makedirs("a/b")
    os.mkdir("x")
    os.chdir("a/b")
    os.rename("../../a", "../../x/y")
    assert os.getcwd() == here + "/x/y/b"
    make("f", b"1")
    os.chdir(here)
    assert read("x/y/b/f") == b"1"


@case
def rename_that_is_refused():
    os.makedirs("d/e")
    make("d/e/f")
    make("f")
    os.mkdir("empty")
    fails(errno.ENOENT, os.rename, "x", "y")
    fails(errno.ENOENT, os.rename, "f", "x/y")
    fails(errno.ENOTDIR, os.rename, "f", "f/y")
    fails(errno.EISDIR, os.rename, "f", "d")
    fails(errno.ENOTDIR, os.rename, "d", "f")
    fails((errno.ENOTEMPTY, errno.EEXIST), os.rename, "empty", "d")
    fails(errno.EINVAL, os.rename, "d", "d/e/x")
    fails(errno.EINVAL, os.rename, "d", "d/x")
    fails((errno.ENOTEMPTY, errno.EEXIST), os.rename, "d/e", "d")
    for path in ("d/.", "d/..", "."):
        fails((errno.EBUSY, errno.EINVAL), os.rename, path, "y")
        fails((errno.EBUSY, errno.EINVAL, errno.EEXIST, errno.ENOTEMPTY), os.rename, "empty", path)
    fails(errno.ENOTDIR, os.rename, "f", "y/")
    fails(errno.ENOTDIR, os.rename, "f/", "y")
    os.rename("empty", "other/")
    assert os.path.isdir("other")


@case
def rename_sets_the_times_of_both_directories():
    os.mkdir("a")
    os.mkdir("b")
    make("a/f")
    before = older("a", "st_mtime_ns"), os.stat("b").st_mtime_ns
    os.rename("a/f", "b/f")
    assert os.stat("a").st_mtime_ns > before[0] and os.stat("b").st_mtime_ns > before[1]


@case
def rename_of_links_moves_the_link():
    os.mkdir("d")
    os.symlink("d", "l")
    os.rename("l", "m")
    assert os.readlink("m") == "d" and os.path.isdir("d")


@case
def rename_without_replacing():
    make("f", b"1")
    make("g", b"2")
    fails(errno.EEXIST, renameat2, "f", "g", 1)
    renameat2("f", "h", 1)
    assert read("h") == b"1" and read("g") == b"2"


@departs
def rename_exchanging_two_entries_is_refused():
    make("f", b"1")
    make("g", b"2")
    fails(errno.EINVAL, renameat2, "f", "g", 2)
    assert (read("f"), read("g")) == (b"1", b"2")


# --- truncate ---


@case
def truncate_both_ways():
    make("f", b"12345")
    os.truncate("f", 2)
    assert read("f") == b"12"
    os.truncate("f", 4)
    assert read("f") == b"12\0\0"
    os.truncate("f", 1 << 40)
    assert os.stat("f").st_size == 1 << 40
    with open("f", "rb") as file:
        file.seek((1 << 40) - 3)
        assert file.read() == b"\0\0\0"
    os.truncate("f", 0)
    assert read("f") == b""


@case
def truncate_sets_times_at_any_size():
    make("f", b"12345")
    for size in (5, 3, 9):
        before = older("f", "st_mtime_ns"), os.stat("f").st_ctime_ns
        os.truncate("f", size)
        assert os.stat("f").st_mtime_ns > before[0] and os.stat("f").st_ctime_ns > before[1], size


@case
def truncate_of_what_is_no_file():
    os.mkdir("d")
    make("f")
    fails(errno.EISDIR, os.truncate, "d", 0)
    fails(errno.ENOENT, os.truncate, "x", 0)
    fails(errno.ENOTDIR, os.truncate, "f/x", 0)
    fails(errno.EINVAL, os.truncate, "f", -1)


@case
def writes_far_behind_the_end_leave_zeros():
    with open("f", "wb") as file:
        file.seek(1 << 36)
        file.write(b"end")
    with open("f", "rb") as file:
        assert file.read(5) == bytes(5)
        file.seek((1 << 36) - 2)
        assert file.read() == b"\0\0end"
        assert os.lseek(file.fileno(), 0, os.SEEK_DATA) > 0
        assert os.lseek(file.fileno(), 0, os.SEEK_HOLE) == 0
        fails(errno.ENXIO, os.lseek, file.fileno(), 1 << 37, os.SEEK_DATA)
        assert os.lseek(file.fileno(), (1 << 36) + 1, os.SEEK_HOLE) == (1 << 36) + 3


# --- times ---


@case
def utimensat_sets_any_time():
    make("f")
    os.mkdir("d")
    os.symlink("f", "l")
    for name in ("f", "d", "l"):
        for pair in ((0, 0), (1, 999_999_999), (10**18 + 1, 2 * 10**18 + 2), (-1, -(10**9)), (-1_500_000_000, -(10**18) - 7)):
            if linux and min(pair) < 0:
                continue
            os.utime(name, ns=pair, follow_symlinks=False)
            found = os.lstat(name)
            assert (found.st_atime_ns, found.st_mtime_ns) == pair, f"{name} {pair}: {found}"
    fd = os.open("f", os.O_RDONLY)
    os.utime(fd, ns=(5, 6))
    assert os.stat("f").st_mtime_ns == 6
    os.close(fd)


@case
def utimensat_now_and_ctime():
    make("f")
    os.utime("f", ns=(0, 0))
    before = older("f", "st_ctime_ns")
    os.utime("f")
    found = os.stat("f")
    assert found.st_mtime_ns > before and found.st_ctime_ns > before and abs(found.st_mtime - time.time()) < 60


@case
def utimensat_of_nothing():
    make("f")
    fails(errno.ENOENT, os.utime, "x")
    fails(errno.ENOTDIR, os.utime, "f/x")


@case
def writes_set_times():
    make("f", b"x")
    fd = os.open("f", os.O_WRONLY)
    before = older("f", "st_mtime_ns"), os.stat("f").st_ctime_ns
    os.write(fd, b"y")
    assert os.fstat(fd).st_mtime_ns > before[0] and os.fstat(fd).st_ctime_ns > before[1]
    os.close(fd)


@departs
def reading_leaves_the_time_of_access():
    make("f", b"x")
    os.mkdir("d")
    os.utime("f", ns=(7, 7))
    os.utime("d", ns=(7, 7))
    read("f")
    os.listdir("d")
    assert os.stat("f").st_atime_ns == 7 and os.stat("d").st_atime_ns == 7


# --- readdir ---


@case
def readdir_gives_each_entry_once_with_its_kind_and_number():
    os.mkdir("d")
    make("f")
    os.symlink("f", "l")
    found = {entry.name: entry for entry in os.scandir(".")}
    assert sorted(found) == ["d", "f", "l"]
    assert found["d"].is_dir() and found["f"].is_file(follow_symlinks=False) and found["l"].is_symlink()
    for name, entry in found.items():
        assert entry.inode() == os.lstat(name).st_ino


@case
def readdir_of_many_entries():
    names = {f"{number:05}-" + "x" * (number % 90) for number in range(3000)}
    for name in names:
        make(name)
    found = os.listdir(".")
    assert len(found) == len(names) and set(found) == names


@case
def readdir_while_everything_is_removed():
    names = [f"n{number}" for number in range(2000)]
    for name in names:
        make(name)
    seen = []
    with os.scandir(".") as entries:
        for entry in entries:
            seen.append(entry.name)
            os.unlink(entry.name)
    assert len(seen) == len(set(seen)) == len(names), len(seen)
    assert os.listdir(".") == []


@case
def readdir_while_entries_come_and_go():
    stay = {f"stay{number}" for number in range(1500)}
    for name in stay:
        make(name)
    seen = []
    with os.scandir(".") as entries:
        for number, entry in enumerate(entries):
            seen.append(entry.name)
            if number < 1400:
                make(f"new{number}")
                if number > 0:
                    os.unlink(f"new{number - 1}")
    assert len(seen) == len(set(seen)), "an entry came twice"
    assert stay <= set(seen), f"missing: {len(stay - set(seen))}"


@case
def readdir_with_a_small_buffer_and_seeks():
    names = {f"name{number}" for number in range(300)}
    for name in names:
        make(name)
    fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    buffer = ctypes.create_string_buffer(120)
    places, order = [], []

    def entries():
        while True:
            count = libc.syscall(217, fd, buffer, len(buffer))
            assert count >= 0, ctypes.get_errno()
            if count == 0:
                return
            at = 0
            while at < count:
                place = int.from_bytes(buffer.raw[at + 8 : at + 16], "little")
                length = int.from_bytes(buffer.raw[at + 16 : at + 18], "little")
                yield place, buffer.raw[at + 19 : at + length].split(b"\0")[0].decode()
                at += length

    for place, name in entries():
        places.append(place)
        order.append(name)
    assert set(order) == names | {".", ".."} and len(order) == len(names) + 2
    # Back to some places: what comes from there on is what came before.
    for index in (0, 1, 7, 150, 299, len(order) - 2):
        os.lseek(fd, places[index], os.SEEK_SET)
        assert [name for _, name in entries()] == order[index + 1 :], index
    os.lseek(fd, 0, os.SEEK_SET)
    make("late")
    assert "late" in [name for _, name in entries()]
    os.close(fd)


@case
def readdir_of_what_is_no_directory():
    make("f")
    fails(errno.ENOTDIR, os.listdir, "f")
    fails(errno.ENOENT, os.listdir, "x")


# --- the rest ---


@case
def fsync_of_files_and_directories():
    make("f", b"x")
    for path in ("f", "."):
        fd = os.open(path, os.O_RDONLY)
        os.fsync(fd)
        os.fdatasync(fd)
        os.close(fd)


@case
def writes_with_the_flag_sync():
    for flag in (os.O_SYNC, os.O_DSYNC):
        fd = os.open("f", os.O_WRONLY | os.O_CREAT | flag)
        assert os.write(fd, b"durable") == 7
        os.close(fd)
    assert read("f") == b"durable"


@case
def statvfs_tells_of_names_and_room():
    found = os.statvfs(".")
    assert found.f_namemax == 255 and found.f_bavail > 0 and found.f_blocks >= found.f_bfree


@case
def locks_of_two_descriptors():
    import fcntl

    make("f")
    with open("f", "rb+") as one, open("f", "rb+") as two:
        fcntl.flock(one, fcntl.LOCK_EX)
        fails(errno.EWOULDBLOCK, fcntl.flock, two, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(one, fcntl.LOCK_UN)
        fcntl.flock(two, fcntl.LOCK_EX | fcntl.LOCK_NB)


@departs
def permissions_and_owners_are_taken_and_not_kept():
    make("f")
    os.mkdir("d")
    os.chmod("f", 0o600)
    os.chmod("d", 0o700)
    os.chown("f", 1234, 1234)
    found = os.stat("f")
    assert (found.st_mode & 0o7777, os.stat("d").st_mode & 0o7777) == (0o644, 0o755)
    assert (found.st_uid, found.st_gid) == (os.geteuid(), os.getegid())


@departs
def devices_pipes_and_sockets_are_refused():
    fails(errno.EPERM, os.mkfifo, "p")
    fails(errno.EPERM, os.mknod, "n", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    with socket.socket(socket.AF_UNIX) as server:
        fails(errno.EPERM, server.bind, "s")
    os.mknod("f", stat.S_IFREG | 0o600)
    fails(errno.EEXIST, os.mknod, "f", stat.S_IFREG | 0o600)
    assert os.listdir(".") == ["f"]


@departs
def attributes_are_refused():
    make("f")
    fails(errno.EOPNOTSUPP, os.setxattr, "f", "user.x", b"1")
    fails(errno.EOPNOTSUPP, os.getxattr, "f", "user.x")
    fails(errno.EOPNOTSUPP, os.listxattr, "f")


@departs
def allocating_is_refused_and_libc_writes_instead():
    fd = os.open("f", os.O_RDWR | os.O_CREAT)
    done = libc.fallocate(fd, 3, ctypes.c_long(0), ctypes.c_long(4096))
    assert done == -1 and ctypes.get_errno() == errno.EOPNOTSUPP
    os.posix_fallocate(fd, 0, 10_000)
    assert os.fstat(fd).st_size == 10_000
    os.close(fd)


@case
def a_file_of_many_names():
    make("f")
    for number in range(500):
        os.link("f", f"l{number}")
    assert os.stat("f").st_nlink == 501
    for number in range(500):
        os.unlink(f"l{number}")
    assert os.stat("f").st_nlink == 1


@case
def a_deep_tree():
    here = os.getcwd()
    for _ in range(200):
        os.mkdir("deep")
        os.chdir("deep")
    make("f", b"down here")
    os.chdir(here)
    assert read("deep/" * 200 + "f") == b"down here"


@case
def copying_in_the_kernel():
    make("f", b"0123456789" * 1000)
    source, target = os.open("f", os.O_RDONLY), os.open("g", os.O_WRONLY | os.O_CREAT)
    assert os.copy_file_range(source, target, 5000) == 5000
    assert os.sendfile(target, source, 5000, 5000) == 5000
    os.close(source)
    os.close(target)
    assert read("g") == read("f")


root = os.getcwd()
failed = 0
for function in cases:
    place = os.path.join(root, function.__name__)
    os.mkdir(place)
    os.chdir(place)
    try:
        function()
        print("ok", function.__name__)
    except Exception as error:
        failed += 1
        line = error.__traceback__
        while line.tb_next and line.tb_next.tb_frame.f_code.co_filename == __file__:
            line = line.tb_next
        print(f"FAILED {function.__name__}, line {line.tb_lineno}: {type(error).__name__} {error}")
    os.chdir(root)
sys.exit(f"{failed} of {len(cases)} cases failed" if failed else 0)
