# Tries to leave the tree by `..`, slashes, absolute and relative paths, and by spellings that other
# systems take for these. Must: paths above the root are refused; every other spelling is the name
# of a file that does not exist.

write("/f", b"mine")
for path in ["/..", "/../f", "/../../etc/passwd", "..", "../f", "../../../outside/secret", "/locked/../../f",
             "/host/../../outside/secret", "/given/dir/../../../outside", "/./.././f", "/image/../../kept",
             "/over/../..", "/map/../../x", "/host/dir/../../../../outside/secret"]:
    for call in [open, os.listdir, os.stat, os.lstat, os.unlink, os.rmdir, os.mkdir, os.readlink]:
        refused("EPERM", call, path)
    refused("EPERM", open, path, "w")
    refused("EPERM", os.rename, "/f", path)
    refused("EPERM", os.rename, path, "/g")
    refused("EPERM", os.link, "/f", path)
    refused("EPERM", os.link, path, "/g")
    refused("EPERM", os.symlink, "f", path)
    refused("EPERM", os.utime, path)
# Up and down again within the tree is allowed.
assert read("/locked/../f") == read("/host/dir/../../f") == b"mine"

for path in ["/shared/kept", "/etc/passwd", "//etc/passwd", "/proc/self/root", "/proc/self/fd/3", "/dev/null",
             "/dev/stdin", "/dev/fd/3", "/sys", "/\u2025/f", "/\uff0e\uff0e/f", "/.\u200b./f", "/%2e%2e/f",
             "/..%2ff", "/\\..\\f", "\\..\\f", "/..\\f", "C:\\f", "C:/f", "/C:/f", "/CON", "/NUL", "/COM\u00b9",
             "/f::$DATA", "/f:stream", "\\\\?\\C:\\f", "//host/share", "file:///f", "/\u2215f", "/.../f",
             "/ ../f", "/.. /f", "/..\t/f", "/..\n/f", "~", "~root", "$HOME",
             "/host/C:\\x", "/host/NUL", "/host/..\\x"]:
    refused("ENOENT", open, path)
    refused("ENOENT", os.listdir, path)
for path in ["\0", "/f\0", "/f\0.txt", "/\0/../f", b"/f\0"]:
    refused("ValueError", open, path)
    refused("ValueError", os.rename, "/f", path)
    refused("ValueError", os.symlink, path, "/g")
for path in ["/f/", "/f/.", "/f/..", "/f/../f", "/f//", "/f/./", "/f/x"]:
    refused("ENOTDIR", open, path)
    refused("ENOTDIR", os.unlink, path)
for path in ["/" + "x" * 256, "/" + "a/" * 3000, "/" + "\u00e9" * 200, "/host/" + "x" * 256, "/host/" + "a/" * 3000,
             "x" * 10_000_000, "/." * 10_000]:
    refused("ENAMETOOLONG", open, path)
    refused("ENAMETOOLONG", os.mkdir, path)
for path in ["/\udcff", "/host/\udc80", b"/\xff", b"/\xc0\xae\xc0\xae/f", b"/host/\xed\xa0\x80"]:
    refused("EILSEQ", open, path, "w")
roots = "f files given host image locked map over ruled ruled-host small"
assert names("/") == roots.split()
