"""Makes calls on Linux and prints their outcomes in the format of the guest `paths`: see paths.rs among the guests.

    linux.py TOP {rw|ro|plain}

A file system is mounted at TOP/m, read-only with `ro`; with `plain` none is. Calls come on standard input.
"""

import errno
import os
import subprocess
import sys

CODES = {
    errno.EPERM: "not-permitted",
    errno.ENOENT: "no-entry",
    errno.EBUSY: "busy",
    errno.EEXIST: "exist",
    errno.EXDEV: "cross-device",
    errno.ENOTDIR: "not-directory",
    errno.EISDIR: "is-directory",
    errno.EINVAL: "invalid",
    errno.EROFS: "read-only",
    errno.ENOTEMPTY: "not-empty",
    errno.ELOOP: "loop",
}

KINDS = {0o040000: "directory", 0o100000: "file", 0o120000: "link"}


def kind(stat):
    return KINDS[stat.st_mode & 0o170000]


def opened(base, path, flags):
    file = os.open(path, flags, 0o644, dir_fd=base)
    try:
        return kind(os.fstat(file))
    finally:
        os.close(file)


def call(base, word, paths):
    path = paths[0]
    match word:
        case "stat":
            return kind(os.stat(path, dir_fd=base))
        case "lstat":
            return kind(os.lstat(path, dir_fd=base))
        case "readlink":
            return os.readlink(path, dir_fd=base)
        case "open":
            return opened(base, path, os.O_RDONLY)
        case "open-nofollow":
            return opened(base, path, os.O_RDONLY | os.O_NOFOLLOW)
        case "open-directory":
            return opened(base, path, os.O_RDONLY | os.O_DIRECTORY)
        case "open-write":
            return opened(base, path, os.O_RDWR)
        case "open-truncate":
            return opened(base, path, os.O_RDWR | os.O_TRUNC)
        case "create":
            return opened(base, path, os.O_RDWR | os.O_CREAT)
        case "create-nofollow":
            return opened(base, path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)
        case "create-to-read":
            return opened(base, path, os.O_RDONLY | os.O_CREAT)
        case "create-truncate":
            return opened(base, path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        case "exclusive":
            return opened(base, path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        case "set-times":
            return os.utime(path, (1, 1), dir_fd=base)
        case "set-times-nofollow":
            return os.utime(path, (1, 1), dir_fd=base, follow_symlinks=False)
        case "mkdir":
            return os.mkdir(path, dir_fd=base)
        case "rmdir":
            return os.rmdir(path, dir_fd=base)
        case "unlink":
            return os.unlink(path, dir_fd=base)
        case "symlink":
            return os.symlink("target", path, dir_fd=base)
        case "link" | "link-follow":
            follow = word == "link-follow"
            return os.link(path, paths[1], src_dir_fd=base, dst_dir_fd=base, follow_symlinks=follow)
        case "rename":
            return os.rename(path, paths[1], src_dir_fd=base, dst_dir_fd=base)
    raise ValueError(word)


def entries(path):
    with os.scandir(path) as found:
        return sorted(found, key=lambda entry: entry.name)


def clear(path, keep=()):
    """Removes all names except `keep`, and returns the removed ones."""
    removed = [entry for entry in entries(path) if entry.name not in keep]
    for entry in removed:
        if entry.is_dir(follow_symlinks=False):
            clear(entry.path)
            os.rmdir(entry.path)
        else:
            os.unlink(entry.path)
    return [entry.name for entry in removed]


def make(path, tree):
    """Makes the named items: `d/` is a directory, `f` a file, `l>target` a symbolic link."""
    for item in tree.split():
        name, arrow, target = item.partition(">")
        if arrow:
            os.symlink(target, f"{path}/{name}")
        elif name.endswith("/"):
            os.mkdir(f"{path}/{name[:-1]}")
        else:
            open(f"{path}/{name}", "x").close()


def listing(path, above=""):
    for entry in entries(path):
        if entry.is_symlink():
            yield f"{above}{entry.name}>{os.readlink(entry.path)}"
        elif entry.is_dir():
            yield f"{above}{entry.name}/"
            yield from listing(entry.path, f"{above}{entry.name}/")
        else:
            yield f"{above}{entry.name}"


def main():
    top, setting = sys.argv[1:]
    os.chdir(top)
    lines = sys.stdin.read().splitlines()
    trees = dict(line.split("=", 1) for line in lines[:2])
    os.mkdir("m")
    if setting != "plain":
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "m"], check=True)
    for path, tree in trees.items():
        os.mkdir(path)
        make(path, tree)
    # The directories that hold the trees; nothing else may be in them.
    around = {".": ["m", "o"], "m": ["w"]}
    if setting == "ro":
        subprocess.run(["mount", "-o", "remount,ro", "m"], check=True)
        trees.pop("m/w")
        around.pop("m")
    bases = {}
    for line in lines[2:]:
        start, word, *paths = line.split(" ")
        if start not in bases:
            bases[start] = os.open(start, os.O_RDONLY | os.O_DIRECTORY)
        try:
            answer = call(bases[start], word, paths) or "ok"
        except OSError as error:
            print("error", CODES.get(error.errno, str(error)))
            continue
        if word in ("stat", "lstat", "readlink", "open", "open-nofollow", "open-directory", "open-write"):
            print(answer)
            continue
        left = [" ".join(listing(path)) for path in trees]
        for path, tree in trees.items():
            clear(path)
            make(path, tree)
        left += [" ".join(clear(path, keep)) for path, keep in around.items()]
        print(answer, "|", " | ".join(left))


main()
