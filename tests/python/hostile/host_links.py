# Tries to leave a directory of the host by links that lie in it: `hidden -> ../outside`, `indirect
# -> hidden/`, `root -> /.`, `to-secret -> ../outside/secret`, `to-new -> ../outside/new`, each with
# and without a slash behind, by every call that takes a path. Must: such a link leads to the
# guest's own `/outside` or nowhere; nothing outside is read, made, renamed or removed. A link
# itself can be read, in a writable directory also renamed.

write("/host/scratch/f", b"mine")
OUT = "EPERM ENOENT ENOTDIR EISDIR"
for top in ["/host", "/given"]:
    for link in ["hidden", "indirect", "root"]:
        path = f"{top}/{link}"
        # The host does not tell an absolute target.
        told = {"hidden": (None, "../outside"), "indirect": (None, "hidden/"), "root": ("EPERM", None)}
        assert outcome(os.readlink, path) == told[link]
        for slash in ["", "/", "/.", "//"]:
            refused("EPERM ENOENT", open, path + slash)
            refused("EPERM ENOENT", os.listdir, path + slash)
            refused("EPERM ENOENT", os.stat, path + slash)
            refused("EPERM ENOENT", os.chdir, path + slash)
        for inner in ["secret", "../outside/secret", "../../secret", "etc/passwd", "new"]:
            below = f"{path}/{inner}"
            for call in [open, os.stat, os.lstat, os.listdir, os.readlink]:
                refused("EPERM ENOENT", call, below)
            for call in [os.unlink, os.rmdir, os.mkdir]:
                refused("EPERM ENOENT EROFS", call, below)
            refused("EPERM ENOENT EROFS", open, below, "w")
            refused("EPERM ENOENT EROFS", open, below, "x")
            refused("EPERM ENOENT EROFS", open, below, "a")
            refused("EPERM ENOENT EROFS", os.utime, below)
            refused("EPERM ENOENT EROFS", os.symlink, "x", below)
            refused("EPERM ENOENT EROFS", os.link, below, "/host/scratch/got")
            refused("EPERM ENOENT EROFS", os.link, "/host/scratch/f", below)
            refused("EPERM ENOENT EROFS", os.rename, below, "/host/scratch/got")
            refused("EPERM ENOENT EROFS", os.rename, "/host/scratch/f", below)
    for link in ["to-secret", "to-new"]:
        path = f"{top}/{link}"
        refused("EPERM ENOENT", open, path)
        for mode in ["w", "a", "r+"]:
            refused("EPERM ENOENT", open, path, mode)
        refused("EPERM ENOENT EEXIST", open, path, "x")
        refused("EPERM ENOENT", os.stat, path)
        refused("EPERM ENOENT", os.truncate, path, 0)
        refused("EPERM ENOENT EROFS", os.utime, path)
        for slash in ["/", "/."]:
            for call in [open, os.stat, os.listdir]:
                refused(OUT, call, path + slash)
            refused(OUT + " EROFS", os.unlink, path + slash)
            refused(OUT + " EROFS", os.rmdir, path + slash)
            refused(OUT + " EROFS EEXIST", os.mkdir, path + slash)

# A slash behind a link asks for its target: nothing is renamed or removed.
for link in ["hidden", "indirect", "root", "to-secret"]:
    path = f"/host/{link}/"
    refused("EPERM ENOENT ENOTDIR", os.rename, path, "/host/scratch/moved")
    refused("EPERM ENOENT ENOTDIR EISDIR EBUSY EINVAL", os.rename, "/host/dir", path)
    refused("EPERM ENOENT ENOTDIR EISDIR", os.unlink, path)
    refused("EPERM ENOENT ENOTDIR ENOTEMPTY", os.rmdir, path)
    refused("ENOTDIR", os.rmdir, f"/host/{link}")

# A second name of a link, or a link moved deeper, leads no further than the link.
os.link("/host/to-secret", "/host/scratch/second")
os.rename("/host/scratch/second", "/host/scratch/third")
os.mkdir("/host/scratch/deep")
os.rename("/host/scratch/third", "/host/scratch/deep/fourth")
refused("EPERM ENOENT", open, "/host/scratch/deep/fourth")
os.unlink("/host/scratch/deep/fourth")

# From a descriptor of the directory, too.
for top in ["/host", "/given"]:
    directory = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    for path in ["hidden/secret", "indirect/secret", "root/etc/passwd", "to-secret", "..", "../f", "dir/../../f",
                 "/etc/passwd", "root", "hidden/", "to-new"]:
        refused("EPERM ENOENT", os.open, path, os.O_RDONLY, dir_fd=directory)
        refused("EPERM ENOENT EISDIR EROFS", os.open, path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, dir_fd=directory)
    os.close(directory)

# `../outside` seen from the mount is the guest's own `/outside`, as `..` is: not the host's.
os.mkdir("/outside")
write("/outside/secret", b"mine")
for top in ["/host", "/given"]:
    harmless(b"mine", read, f"{top}/to-secret")
    harmless(["secret"], names, f"{top}/hidden/")
    harmless(["secret"], names, f"{top}/indirect")
    refused("EPERM", open, f"{top}/root/outside/secret")
write("/host/to-new", b"mine")
harmless(b"mine", read, "/outside/new")
is_whole("/host")
is_whole("/given")
