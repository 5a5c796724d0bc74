# Tries to pull objects over the border of a mount, to remove or replace mountpoints, and to reach
# the volume `other` of the same store or another volume's bytes by names that look like mounts,
# keys or sources. Must: nothing crosses a border; a mountpoint stays; a name is a name and no more.

MOUNTS = ["/small", "/over", "/host", "/locked", "/image", "/given", "/map"]
write("/f", b"mine")
os.mkdir("/d")
for mount in MOUNTS:
    refused("EBUSY", os.rmdir, mount)
    refused("EBUSY EISDIR EPERM", os.unlink, mount)
    refused("EBUSY", os.rename, mount, "/elsewhere")
    refused("EBUSY", os.rename, "/d", mount)
    refused("EBUSY EISDIR", os.rename, "/f", mount)
    refused("EEXIST", os.mkdir, mount)
    refused("EEXIST", os.symlink, "d", mount)
    refused("EEXIST EXDEV", os.link, "/f", mount)
    refused("EISDIR EBUSY EROFS", open, mount, "w")
    refused("EEXIST", open, mount, "x")
    for other in MOUNTS:
        if other != mount:
            refused("EBUSY", os.rename, mount, other)
            refused("EXDEV EROFS EBUSY EPERM ENOENT", os.rename, f"{mount}/kept", f"{other}/got")
            refused("EXDEV EROFS EPERM ENOENT", os.link, f"{mount}/kept", f"{other}/got")
            refused("EXDEV EROFS EBUSY EPERM ENOENT", os.rename, f"{mount}/dir", f"{other}/d")
    for slash in ["/", "/.", "/..", "/../."]:
        refused("EBUSY EINVAL ENOTEMPTY EEXIST EPERM EROFS", os.rmdir, mount + slash)

# A volume and a mount are named by whoever composes: names of the guest never reach them.
for name in ["other", "kv:other", "other\x01", "\x05other", "\x05other\x01", "main", "locked ", "Locked",
             "l\u043ecked", "locked\u200b", "locke", "lockedx", "smal", "overs", "image:", ".locked", "HOST",
             "host:shared", "host:given", "shared", "extra", "\u006c\u0332ocked", "given\n", "\r", "\x1b[2J"]:
    path = f"/{name}"
    refused("ENOENT", os.listdir, path)
    refused("ENOENT", open, f"{path}/secret")
    write(path)
    harmless([], lambda: [other for other in MOUNTS if os.path.samefile(other, path)])
    os.unlink(path)
    os.mkdir(path)
    harmless([], os.listdir, path)
    os.rmdir(path)

# Names that begin as a mount's lie beside it, not in it.
os.mkdir("/lockedx")
write("/lockedx/kept", b"mine")
os.rename("/lockedx", "/smallx")
harmless(b"kept", read, "/locked/kept")
harmless(False, os.path.exists, "/small/kept")

# A removed name of a packed tree is gone from the volume above, and stays in the tree.
os.unlink("/over/kept")
refused("ENOENT", open, "/over/kept")
harmless(b"kept", read, "/image/kept")
write("/over/dir/inside", b"over")
harmless(b"inside", read, "/image/dir/inside")

# Identities of different mounts never collide: a copy onto what seems the same file would be lost.
numbers = [os.stat(f"{mount}/{name}").st_ino for mount in ["/small", "/over", "/locked", "/image", "/host"]
           for name in ([".", "dir"] if mount != "/small" else ["."])]
harmless(len(numbers), len, set(numbers))
