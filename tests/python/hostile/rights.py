# Tries to change, read and find what the policies of a volume and of a directory of the host deny:
# by every call, through links, directories and descriptors, by other names, and by renaming what is
# above. Must: each is refused; what is hidden answers as what is not there; every byte stays.

import shutil
import sqlite3
import tempfile

write("/f", b"mine")
for mount in ["/ruled", "/ruled-host"]:
    conf, free, hidden, closed, drop = (f"{mount}/{name}" for name in ["conf", "free", "hidden", "closed", "drop"])
    main, pinned, inside, env = f"{conf}/main", f"{free}/pinned", f"{hidden}/file", f"{free}/.env"

    # What may only be read.
    for mode in ["w", "a", "r+", "w+", "r+b"]:
        refused("EPERM", open, main, mode)
    for mode in ["w", "a", "w+", "x"]:
        refused("EPERM", open, f"{conf}/new", mode)
    refused("EEXIST", open, main, "x")
    for flags in [os.O_WRONLY, os.O_RDWR, os.O_RDONLY | os.O_TRUNC, os.O_WRONLY | os.O_TRUNC, os.O_WRONLY | os.O_APPEND,
                  os.O_RDWR | os.O_CREAT | os.O_TRUNC, os.O_WRONLY | os.O_DSYNC, os.O_RDONLY | os.O_CREAT | os.O_TRUNC]:
        refused("EPERM", os.open, main, flags)
    refused("EPERM", os.truncate, main, 0)
    refused("EPERM", os.utime, main)
    refused("EPERM", os.utime, conf)
    refused("EPERM", os.unlink, main)
    refused("EPERM", os.rmdir, f"{conf}/dir")
    refused("EPERM", os.mkdir, f"{conf}/new")
    refused("EPERM", os.symlink, "main", f"{conf}/new")
    refused("EPERM", os.rename, main, f"{conf}/new")
    refused("EPERM", os.rename, main, f"{free}/new")
    refused("EPERM", os.replace, f"{free}/file", main)
    refused("EPERM", os.rename, f"{free}/file", f"{conf}/new")
    refused("EPERM", os.rename, conf, f"{free}/conf")
    refused("EPERM", os.rename, f"{free}/dir", conf)
    refused("EPERM", os.rename, f"{conf}/dir", f"{free}/new")
    refused("EXDEV", os.link, main, f"{free}/new")
    refused("EPERM", os.link, f"{free}/file", f"{conf}/new")
    refused("EXDEV", os.link, main, "/got")
    refused("EXDEV EPERM", os.rename, main, "/got")
    refused("EPERM", shutil.copyfile, "/f", main)
    refused("EPERM Error", shutil.rmtree, conf)
    refused("EPERM", tempfile.mkdtemp, dir=conf)
    refused("EPERM", tempfile.TemporaryFile, dir=conf)
    for statement in [f"attach '{main}' as other; create table other.t (x)", f"attach '{conf}/new' as other",
                      f"vacuum into '{conf}/new'"]:
        refused("OperationalError DatabaseError", lambda: sqlite3.connect(":memory:").executescript(statement))
    harmless(b"conf", read, main)

    # Through links, and back to where they start.
    for number, (target, name) in enumerate([("../conf/main", ""), ("../conf", "/main"), ("dir/../../conf", "/main"),
                                             ("./.././conf/dir/..", "/main"), ("..", "/conf/main")]):
        link = f"{free}/link{number}"
        os.symlink(target, link)
        for mode in ["w", "a", "r+"]:
            refused("EPERM", open, link + name, mode)
        refused("EPERM", os.truncate, link + name, 0)
        if name:
            refused("EXDEV", os.link, link + name, f"{free}/new")
        harmless(b"conf", read, link + name)
        os.unlink(link)
    # A link that is made in the place of what a check has seen.
    os.symlink("link2", f"{free}/link1")
    os.symlink("file", f"{free}/link2")
    os.replace(f"{free}/link2", f"{free}/link3")
    os.symlink("../conf/main", f"{free}/link2")
    refused("EPERM", open, f"{free}/link1", "w")
    for name in ["link1", "link2", "link3"]:
        os.unlink(f"{free}/{name}")

    # A name that stays in a directory that does not.
    for call in [os.unlink, lambda path: os.rename(path, f"{free}/new"), lambda path: os.replace(f"{free}/file", path)]:
        refused("EPERM", call, pinned)
    refused("EPERM EXDEV", os.rename, free, f"{mount}/other")
    refused("EXDEV", os.rename, f"{free}/dir", drop + "/dir")
    harmless(6, lambda: os.stat(pinned).st_size)

    # A place that takes and does not give.
    with open(f"{drop}/a", "wb") as file:
        file.write(b"given")
    for flags in [os.O_RDONLY, os.O_RDWR, os.O_RDONLY | os.O_CREAT, os.O_RDWR | os.O_TRUNC]:
        refused("EPERM", os.open, f"{drop}/a", flags)
    refused("EPERM", os.listdir, drop)
    refused("EXDEV", os.link, f"{drop}/a", f"{free}/a")
    refused("EXDEV", os.rename, f"{drop}/a", f"{free}/a")
    refused("EPERM", shutil.copyfile, f"{drop}/a", f"{free}/a")
    file = os.open(f"{drop}/a", os.O_WRONLY)
    refused("EBADF", os.read, file, 1)
    refused("EBADF", os.pread, file, 1, 0)
    os.close(file)
    os.unlink(f"{drop}/a")

    # What gives nothing but its names.
    for call in [read, lambda path: open(path, "a"), os.unlink, os.utime, lambda path: os.truncate(path, 0),
                 lambda path: os.rename(path, f"{free}/got"), lambda path: shutil.copyfile(path, f"{free}/got")]:
        refused("EPERM", call, f"{closed}/file")
    refused("EXDEV", os.link, f"{closed}/file", f"{free}/got")
    refused("EPERM", os.listdir, closed)
    refused("EPERM", os.scandir, closed)
    refused("EPERM", os.rename, closed, f"{free}/got")
    harmless([], lambda: [names for _, *names in os.walk(closed)])

    # What is hidden answers as what is not there.
    os.symlink("../hidden/file", f"{free}/to")
    os.symlink("../hidden", f"{free}/door")
    os.symlink(".env", f"{free}/to-env")
    paths = [hidden, inside, f"{hidden}/dir", f"{hidden}/..", f"{hidden}/../free/file", f"{hidden}/missing", env,
             f"{free}/../hidden/file", f"{conf}/../hidden", f"{free}/dir/../.env", f"{free}/dir/.env", f"{mount}/.env"]
    for path in paths:
        for call in [os.stat, os.lstat, open, os.listdir, os.scandir, os.readlink, os.unlink, os.rmdir, os.utime,
                     lambda path: os.open(path, os.O_WRONLY), lambda path: os.open(path, os.O_RDONLY | os.O_TRUNC),
                     lambda path: os.truncate(path, 0), lambda path: os.rename(path, f"{free}/got"),
                     lambda path: os.link(path, f"{free}/got"), lambda path: shutil.copyfile(path, f"{free}/got"),
                     lambda path: os.open(path, os.O_RDONLY | os.O_DIRECTORY)]:
            refused("ENOENT ENOTEMPTY" if path.endswith("..") else "ENOENT", call, path)
        harmless((False, False), lambda: (os.path.exists(path), os.path.lexists(path)))
    for path in [f"{free}/to", f"{free}/door", f"{free}/door/file", f"{free}/door/../free/file", f"{free}/to-env"]:
        refused("ENOENT", open, path)
        refused("ENOENT", os.stat, path)
        refused("ENOENT", os.listdir, path)
    if mount == "/ruled-host":
        for path in [f"{mount}/to-hidden", f"{conf}/to-hidden/file", f"{conf}/to-hidden"]:
            refused("ENOENT", open, path)
            refused("ENOENT", os.stat, path)
    # Where a name is hidden, nothing can be made, whether there is anything or not.
    for path in [env, f"{free}/dir/.env", hidden]:
        for mode in ["w", "a", "x", "w+"]:
            refused("EPERM", open, path, mode)
        refused("EPERM", os.open, path, os.O_RDONLY | os.O_CREAT)
        refused("EPERM", os.mkdir, path)
        refused("EPERM", os.symlink, "file", path)
        refused("EPERM", os.link, f"{free}/file", path)
        refused("EPERM", os.rename, f"{free}/file", path)
        refused("EPERM", os.rename, f"{free}/dir", path)
    harmless(["closed", "conf", "drop", "free"], lambda: [name for name in names(mount) if name != "to-hidden"])
    harmless(["dir", "door", "file", "pinned", "to", "to-env"], names, free)
    harmless([], lambda: [path for path, *_ in os.walk(mount) if "hidden" in path.split("/")])
    for name in ["to", "door", "to-env"]:
        os.unlink(f"{free}/{name}")

    # Descriptors know where they were opened.
    here = os.open(conf, os.O_RDONLY | os.O_DIRECTORY)
    there = os.open(free, os.O_RDONLY | os.O_DIRECTORY)
    refused("EPERM", os.open, "main", os.O_WRONLY, dir_fd=here)
    refused("EPERM", os.open, "new", os.O_WRONLY | os.O_CREAT, dir_fd=here)
    refused("EPERM", os.unlink, "main", dir_fd=here)
    refused("EPERM", os.mkdir, "new", dir_fd=here)
    refused("EPERM", os.utime, "main", dir_fd=here)
    refused("EPERM", os.utime, here)
    refused("EPERM", os.rename, "main", "got", src_dir_fd=here, dst_dir_fd=there)
    refused("EPERM", os.rename, "file", "main", src_dir_fd=there, dst_dir_fd=here)
    refused("ENOENT", os.open, ".env", os.O_RDONLY, dir_fd=there)
    refused("EPERM", os.open, ".env", os.O_WRONLY | os.O_CREAT, dir_fd=there)
    refused("EPERM", os.open, "../hidden/file", os.O_RDONLY, dir_fd=there)
    refused("EPERM", os.unlink, "pinned", dir_fd=there)
    os.close(here)
    os.close(there)
    file = os.open(main, os.O_RDONLY)
    refused("EBADF", os.write, file, b"x")
    refused("EBADF", os.pwrite, file, b"x", 0)
    refused("EBADF EINVAL", os.ftruncate, file, 0)
    refused("EPERM", os.utime, file)
    harmless(b"conf", os.read, file, 100)
    os.close(file)

    # A buffered write has no descriptor to flush to.
    def buffered():
        with open(main, "r+b", buffering=1 << 20) as file:
            file.write(b"lost")
            file.flush()

    refused("EPERM", buffered)
    # A directory with something hidden in it is not empty, and moves only where the same rules hold.
    refused("EXDEV EPERM", os.rename, free, f"{conf}/free")
    refused("EXDEV", os.rename, f"{free}/dir", f"{drop}/dir2")
    harmless(b"free", read, f"{free}/file")
    harmless(["dir", "file", "pinned"], names, free)
