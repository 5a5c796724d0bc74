# Tries to leave a damaged tree: renames onto itself, into its own child and in circles, over open
# and unlinked files, removal of what is in use, a tree 400 levels deep, 2,000 names with one
# content, names that only a terminal or another system takes for something else. Must: each ends as
# on Linux, and the store is sound afterwards.

write("/f", b"mine")
os.makedirs("/a/b/c")
for mount in ["", "/over", "/host/scratch"]:
    os.makedirs(f"{mount}/x/y/z")
    write(f"{mount}/x/f", b"mine")
    os.rename(f"{mount}/x/f", f"{mount}/x/f")
    harmless(b"mine", read, f"{mount}/x/f")
    os.link(f"{mount}/x/f", f"{mount}/x/g")
    os.rename(f"{mount}/x/f", f"{mount}/x/g")
    harmless(b"mine", read, f"{mount}/x/g")
    harmless(b"mine", read, f"{mount}/x/f")
    for target in [f"{mount}/x/y", f"{mount}/x/y/z", f"{mount}/x/y/z/w", f"{mount}/x/new"]:
        refused("EINVAL ENOTEMPTY EEXIST", os.rename, f"{mount}/x", target)
    refused("ENOTEMPTY EEXIST", os.rename, f"{mount}/x/y", f"{mount}/x")
    refused("ENOTEMPTY EEXIST", os.rmdir, f"{mount}/x")
    refused("ENOTDIR", os.rename, f"{mount}/x/y", f"{mount}/x/f")
    refused("EISDIR", os.rename, f"{mount}/x/f", f"{mount}/x/y")
    refused("EISDIR EPERM", os.unlink, f"{mount}/x")
    refused("ENOTDIR", os.rmdir, f"{mount}/x/f")
    refused("EPERM EISDIR", os.link, f"{mount}/x/y", f"{mount}/x/hard")
    for path in [f"{mount}/x/.", f"{mount}/x/..", f"{mount}/x/y/.."]:
        refused("EINVAL EBUSY ENOTEMPTY EEXIST EPERM", os.rmdir, path)
        refused("EINVAL EBUSY EPERM", os.rename, path, f"{mount}/w")

# A file is replaced and removed under open descriptors, which go on.
files = []
for number in range(50):
    file = os.open("/churn", os.O_RDWR | os.O_CREAT)
    os.write(file, b"%d" % number)
    write("/other", b"other")
    os.rename("/other", "/churn")
    os.unlink("/churn")
    files.append(file)
for number, file in enumerate(files):
    harmless(b"%d" % number, os.pread, file, 10, 0)
for file in files[::2]:
    os.close(file)

# Deep and wide.
path = ""
for level in range(400):
    path += "/deep"
    os.mkdir(path)
os.mkdir("/other")
os.rename("/deep", "/other/deep")
refused("EINVAL", os.rename, "/other", "/other" + path)
os.mkdir("/wide")
write("/wide/0", b"one")
for number in range(1, 2000):
    os.link("/wide/0", f"/wide/{number}")
harmless(2000, lambda: os.stat("/wide/0").st_nlink)
write("/wide/1999", b"all")
harmless(b"all", read, "/wide/1000")

# Names that are anything but plain are kept as they are.
STRANGE = ["\x1b[2J\x1b[H", "\x1b]0;title\x07", "a\nb", "\r", "\t", "\x7f", "\u202egnp.exe", "\u200b", "\ufeff",
           "e\u0301", "\u00e9", "K", "\u212a", "-rf", "*", "?", "'", '"', "`id`", "$(id)", ";id", "%s%n", "\\", " ",
           "a ", "\U0001f600", "." * 255, "...", "CON", "a:b", "con.txt", "\u00fe" * 127]
for place in ["/names", "/host/scratch/names"]:
    os.mkdir(place)
    for name in STRANGE:
        write(f"{place}/{name}", name.encode())
    harmless(sorted(STRANGE), names, place)
    for name in STRANGE:
        harmless(name.encode(), read, f"{place}/{name}")
        refused("EEXIST", os.mkdir, f"{place}/{name}")
