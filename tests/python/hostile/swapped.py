# Tries to use the moment between a check and a use: directories and links are swapped behind an
# open descriptor, and the host itself swaps `/host/scratch/flip` between a directory and a link to
# `../../outside` all the time while the script opens files in it. Must: a descriptor stays with its
# object; no byte from outside is ever read, and none is written there.

import stat
import time

# A directory that is moved, and replaced by a link to another mount.
for number, mount in enumerate(READ_ONLY):
    place = f"/place{number}"
    os.mkdir(place)
    write(f"{place}/kept", b"decoy")
    directory = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    os.rename(place, f"/moved{number}")
    os.symlink(f".{mount}", place)
    harmless(b"decoy", lambda: os.read(os.open("kept", os.O_RDONLY, dir_fd=directory), 100))
    file = os.open("kept", os.O_WRONLY | os.O_TRUNC, dir_fd=directory)
    harmless(3, os.write, file, b"new")
    refused("EROFS", os.open, f"{place}/kept", os.O_WRONLY)
    refused("EPERM", os.open, f"..{mount}/kept", os.O_RDONLY, dir_fd=directory)
    refused("EPERM", os.open, "../kept", os.O_RDONLY, dir_fd=directory)
    os.unlink(f"/moved{number}/kept")
    os.rmdir(f"/moved{number}")
    refused("ENOENT", os.open, "kept", os.O_RDONLY, dir_fd=directory)
    refused("ENOENT", os.open, "kept", os.O_WRONLY | os.O_CREAT, dir_fd=directory)
    refused("ENOENT", os.mkdir, "new", dir_fd=directory)
    harmless(5, os.write, file, b"alive")
    is_whole(mount)

# A file that is replaced while it is open.
write("/one", b"first")
file = open("/one", "r+b", buffering=0)
write("/two", b"second")
os.rename("/two", "/one")
harmless(b"first", file.read)
harmless(b"second", read, "/one")
os.unlink("/one")
os.symlink("locked/kept", "/one")
harmless(4, file.write, b"more")
harmless(b"kept", read, "/one")

# A moved directory does not take its descriptor along to where `..` leads elsewhere.
os.makedirs("/deep/er/est")
inner = os.open("/deep/er/est", os.O_RDONLY | os.O_DIRECTORY)
os.rename("/deep/er/est", "/est")
for path in ["..", "../f", "../../f", "../locked/kept"]:
    refused("EPERM", os.open, path, os.O_RDONLY, dir_fd=inner)

# Listings whose directory goes away, or changes, end.
os.mkdir("/listed")
for number in range(500):
    write(f"/listed/{number}", b"")
with os.scandir("/listed") as listing:
    seen = [next(listing).name]
    for number in range(500):
        os.unlink(f"/listed/{number}")
    os.rmdir("/listed")
    os.symlink("locked", "/listed")
    seen += [entry.name for entry in listing]
assert len(seen) == len(set(seen)) <= 500 and "kept" not in seen, seen

# The host's own swapping. `flip` is a directory with a decoy, or a link to the secret's directory.
MOMENTARY = ["EPERM", "ENOENT", "ENOTDIR", "EINVAL"]
links = decoys = 0
until = time.monotonic() + 0.7
while time.monotonic() < until or (decoys < 5 or links < 5) and time.monotonic() < until + 10:
    try:
        links += stat.S_ISLNK(os.lstat("/host/scratch/flip").st_mode)
    except FileNotFoundError:
        pass
    for path in ["/host/scratch/flip/secret", "/host/dir/../scratch/flip/secret", "/host/scratch/./flip/secret"]:
        name, content = outcome(read, path)
        # The host may not have written the file yet.
        assert name or content in [b"", b"decoy"], content
        decoys += content == b"decoy"
        assert name in [None, *MOMENTARY], name
    for call in [lambda: write("/host/scratch/flip/planted"), lambda: os.mkdir("/host/scratch/flip/made"),
                 lambda: os.unlink("/host/scratch/flip/secret2"), lambda: os.listdir("/host/scratch/flip/"),
                 lambda: os.rename("/host/scratch/flip/planted", "/host/scratch/flip/other"),
                 lambda: os.link("/host/scratch/flip/secret", "/host/scratch/taken")]:
        name, result = outcome(call)
        assert name in [None, "EEXIST", *MOMENTARY], name
        assert not isinstance(result, list) or "outsider" not in result, result
    if os.path.exists("/host/scratch/taken"):
        assert read("/host/scratch/taken") in [b"", b"decoy"]
        os.unlink("/host/scratch/taken")
assert decoys >= 5 and links >= 5, (decoys, links)
attempts += 2
