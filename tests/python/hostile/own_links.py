# Tries to leave the tree by links of its own: absolute ones, ones that lead above the root or above
# a mount, loops, chains of more than 40, links through links, links to mountpoints. Must: an
# absolute link cannot be made; a link above the root is refused when it is followed; a link between
# mounts leads to the mount and to its rights; loops end.

write("/f", b"mine")
for target in ["/", "/f", "/etc/passwd", "//", "/.", "/locked/kept"]:
    for place in ["/l", "/small/l", "/over/l", "/host/scratch/l"]:
        refused("EPERM", os.symlink, target, place)
refused("ENOENT", os.symlink, "", "/l")
for place in ["/small", "/over", "/host/scratch"]:
    for number, target in enumerate(["../../../..", "../../../../etc/passwd", "../../../outside/secret",
                                     "./../../../x", "dir/../../../../x", "../locked/../../../f"]):
        link = f"{place}/up{number}"
        os.symlink(target, link)
        refused("EPERM ENOENT", open, link)
        refused("EPERM ENOENT", os.listdir, link)
        refused("EPERM ENOENT", os.stat, link + "/")
        refused("EPERM ENOENT", open, link, "w")
        os.unlink(link)
os.symlink("..", "/up")
refused("EPERM", os.listdir, "/up")
refused("EPERM", open, "/up/f")
refused("EPERM", open, "/up/up/f")

# Loops and chains.
for place in ["", "/small", "/over", "/host/scratch"]:
    os.symlink("b", f"{place}/a")
    os.symlink("a", f"{place}/b")
    os.symlink("self", f"{place}/self")
    os.symlink("self/x", f"{place}/grows")
    for link in ["a", "b", "self", "grows"]:
        refused("ELOOP", open, f"{place}/{link}")
        refused("ELOOP", open, f"{place}/{link}", "w")
        refused("ELOOP ENOTDIR", os.mkdir, f"{place}/{link}/x")
    for link in ["a", "b", "self", "grows"]:
        os.unlink(f"{place}/{link}")
os.symlink("f", "/chain0")
for number in range(1, 50):
    os.symlink(f"chain{number - 1}", f"/chain{number}")
assert read("/chain39") == b"mine"
refused("ELOOP", open, "/chain40")
refused("ELOOP", open, "/chain49", "w")
# Each link doubles the steps: the walk ends by the count of links, not by the guest's patience.
os.mkdir("/d")
os.symlink(".", "/d/x")
refused("ELOOP", open, "/d" + "/x" * 41 + "/f")
os.symlink("x/" * 500 + "f", "/d/long")
refused("ELOOP", open, "/d/long")
refused("ENAMETOOLONG", os.symlink, "x" * 5000, "/too-long")

# A link to a read-only mount gives no right to change it, whatever it is called through.
for mount in READ_ONLY:
    os.symlink(f".{mount}", "/way")
    os.symlink(f".{mount}/kept", "/file")
    assert read("/way/kept") == read("/file") == b"kept"
    for path in ["/way/kept", "/file"]:
        refused("EROFS", open, path, "w")
        refused("EROFS", open, path, "r+")
        refused("EROFS", open, path, "a")
        refused("EROFS", os.truncate, path, 0)
        refused("EROFS", os.utime, path)
    for path in ["/way/new", "/way/dir/new"]:
        refused("EROFS", open, path, "w")
        refused("EROFS", os.mkdir, path)
        refused("EROFS", os.symlink, "x", path)
    refused("EROFS", os.unlink, "/way/kept")
    refused("EROFS", os.rename, "/way/kept", "/way/other")
    refused("EXDEV EROFS", os.link, "/way/kept", "/got")
    refused("ENOTDIR", os.rmdir, "/way")
    os.unlink("/way")
    os.unlink("/file")
    is_whole(mount)

# A link of an image to an absolute path can be read, and not followed.
for mount in ["/image", "/over"]:
    assert os.readlink(f"{mount}/absolute") == "/kept"
    refused("EPERM", open, f"{mount}/absolute")
    refused("EPERM", open, f"{mount}/absolute", "w")
    refused("EPERM", os.stat, f"{mount}/absolute/")
