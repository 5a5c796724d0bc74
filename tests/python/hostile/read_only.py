# Tries to change read-only mounts, a volume, a packed tree and a directory of the host, by every
# call that changes something, by descriptors opened for reading, buffered writes, links, renames
# and sqlite. Must: each is refused, and every byte stays.

import shutil
import sqlite3
import tempfile

write("/f", b"mine")
for mount in READ_ONLY:
    kept, inside, new = f"{mount}/kept", f"{mount}/dir/inside", f"{mount}/new"
    for mode in ["w", "a", "r+", "w+", "wb", "r+b"]:
        refused("EROFS", open, kept, mode)
        refused("EROFS", open, f"{mount}/link", mode)
        if mode != "r+" and mode != "r+b":
            refused("EROFS", open, new, mode)
    refused("EEXIST", open, kept, "x")
    refused("EROFS", open, new, "x")
    for flags in [os.O_WRONLY, os.O_RDWR, os.O_RDONLY | os.O_TRUNC, os.O_WRONLY | os.O_TRUNC, os.O_RDWR | os.O_APPEND,
                  os.O_WRONLY | os.O_CREAT | os.O_TRUNC, os.O_WRONLY | os.O_DSYNC]:
        refused("EROFS", os.open, kept, flags)
    refused("EROFS", os.truncate, kept, 0)
    refused("EROFS", os.truncate, kept, 1 << 40)
    for call in [os.unlink, os.utime]:
        refused("EROFS", call, kept)
    refused("EROFS", os.utime, kept, (0, 0))
    refused("EROFS", os.utime, f"{mount}/link", (0, 0), follow_symlinks=False)
    refused("EROFS", os.utime, mount)
    refused("EROFS", os.mkdir, new)
    refused("EROFS", os.mkdir, f"{mount}/dir/new")
    refused("EROFS", os.rmdir, f"{mount}/dir")
    refused("EROFS", os.symlink, "kept", new)
    for old, target in [(kept, new), (new, kept), (inside, new), (f"{mount}/dir", new), (kept, inside), (kept, kept)]:
        refused("EROFS", os.rename, old, target)
        refused("EROFS", os.replace, old, target)
    refused("EROFS", os.link, kept, new)
    refused("EROFS", os.link, kept, f"{mount}/dir/new")
    # Out of the mount and into it: a name elsewhere would make the file writable.
    for place in ["/got", "/small/got", "/over/got", "/host/scratch/got"]:
        refused("EXDEV EROFS", os.link, kept, place)
        refused("EXDEV EROFS", os.rename, kept, place)
    refused("EXDEV EROFS", os.link, "/f", new)
    refused("EXDEV EROFS", os.rename, "/f", new)
    refused("EXDEV EROFS", os.rename, "/f", kept)
    refused("EROFS OSError Error", shutil.move, kept, "/moved")
    refused("EROFS Error", shutil.rmtree, f"{mount}/dir")
    refused("EROFS", shutil.copyfile, "/f", new)
    refused("EROFS", shutil.copytree, f"{mount}/dir", f"{mount}/dir2")
    refused("EROFS", tempfile.TemporaryFile, dir=mount)
    refused("EROFS", tempfile.mkdtemp, dir=mount)

    # Descriptors opened for reading stay so.
    file = os.open(kept, os.O_RDONLY)
    refused("EBADF", os.write, file, b"x")
    refused("EBADF", os.pwrite, file, b"x", 0)
    refused("EBADF EINVAL", os.ftruncate, file, 0)
    refused("EROFS", os.utime, file)
    harmless(b"kept", os.read, file, 100)
    os.close(file)
    directory = os.open(mount, os.O_RDONLY | os.O_DIRECTORY)
    refused("EROFS", os.open, "kept", os.O_WRONLY, dir_fd=directory)
    refused("EROFS", os.open, "new", os.O_WRONLY | os.O_CREAT, dir_fd=directory)
    refused("EROFS", os.mkdir, "new", dir_fd=directory)
    refused("EROFS", os.unlink, "kept", dir_fd=directory)
    refused("EROFS", os.rmdir, "dir", dir_fd=directory)
    refused("EROFS", os.symlink, "kept", "new", dir_fd=directory)
    refused("EROFS", os.rename, "kept", "new", src_dir_fd=directory, dst_dir_fd=directory)
    refused("EROFS EXDEV", os.rename, "kept", "got", src_dir_fd=directory)
    refused("EROFS EXDEV", os.rename, "f", "new", dst_dir_fd=directory)
    refused("EROFS", os.utime, "kept", dir_fd=directory)
    os.close(directory)

    # A buffered write has no descriptor to flush to.
    def buffered():
        with open(kept, "r+b", buffering=1 << 20) as file:
            file.write(b"lost")
            file.flush()

    refused("EROFS", buffered)

    # sqlite opens what it may not write for reading.
    database = sqlite3.connect("/d.db")
    database.execute("create table if not exists t (x)")
    database.commit()
    for statement in [f"attach '{kept}' as other; create table other.t (x)", f"attach '{new}' as other",
                      f"vacuum into '{new}'", f"vacuum into '{kept}'"]:
        refused("OperationalError DatabaseError", database.executescript, statement)
    database.close()
    for change in ["create table t (x)", "pragma user_version = 1", "pragma journal_mode = wal; create table t (x)"]:
        refused("OperationalError DatabaseError", lambda: sqlite3.connect(kept).executescript(change))
    is_whole(mount)

# The file map of a writable directory gives its file and nothing else.
assert names("/map") == ["conf"] and read("/map/conf") == b"kept"
for path in ["/map/kept", "/map/unlisted", "/map/dir/inside", "/map/to-secret", "/map/hidden/secret", "/map/./kept",
             "/map/conf2", "/map/../map/kept"]:
    refused("ENOENT", open, path)
    refused("ENOENT", os.stat, path)
refused("ENOTDIR", open, "/map/conf/")
refused("ENOTDIR", open, "/map/conf/../kept")
refused("EROFS", open, "/map/conf", "w")
for path in ["/map/new", "/map/kept", "/map/hidden"]:
    refused("EROFS EPERM", open, path, "w")
    refused("EROFS EPERM", os.mkdir, path)
    refused("EROFS EPERM", os.symlink, "kept", path)
for call in [os.unlink, os.rmdir]:
    refused("EROFS", call, "/map/conf")
refused("EROFS", os.rename, "/map/conf", "/map/new")
refused("EXDEV EROFS EPERM", os.link, "/map/conf", "/got")
