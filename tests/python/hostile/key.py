# Tries to find the key of the encrypted store that it runs on: in its environment, its arguments,
# the objects in its memory, files of the host, and every file it can reach, by all their spellings.
# Must: the environment of the command is not the guest's, and no path leads to the key, to the file
# of the store or to its header.

import gc
import sys

PASSPHRASE = "correct " + "horse"

for name in ["KVFS_PASSPHRASE", "KVFS_KEY", "HOME", "XDG_CACHE_HOME", "PATH"]:
    harmless(None, os.environ.get, name)
    refused("KeyError", lambda: os.environ[name])
harmless([], lambda: [name for name, value in os.environ.items() if PASSPHRASE in name + value])
harmless([], lambda: [argument for argument in sys.argv if argument.startswith("--key") or PASSPHRASE in argument])

for path in ["/proc/self/environ", "/proc/1/environ", "/proc/self/cmdline", "/proc/self/maps", "/proc/self/mem",
             "/proc/self/fd/3", "/dev/mem", "/dev/urandom", "/etc/passwd", "/root/.cache"]:
    for spelling in [path, path[1:], "/.." + path, "../../.." + path]:
        refused("ENOENT ENOTCAPABLE EPERM EACCES", read, spelling)
for name in ["key", "phrase", "keys/key", "kvfs-key/key", "kvfs-sealed", "state.redb", "python.kvfs.wasm"]:
    for before in ["", "/", "/./", "../", "/../", "../../", "/kvfs/", "/kvfs/../"]:
        refused("ENOENT ENOTCAPABLE EPERM EACCES", read, before + name)
for name in ["\0kvfs-sealed", "\1\4main", "\2\4main\0"]:
    refused("ValueError ENOENT EILSEQ EINVAL", read, name)


def holds(value):
    if isinstance(value, str):
        return PASSPHRASE in value
    return isinstance(value, (bytes, bytearray)) and PASSPHRASE.encode() in value


def in_memory():
    """Counts strings and bytes with the passphrase, but for this script's own."""
    found = 0
    for thing in gc.get_objects():
        if isinstance(thing, dict) and thing is not globals():
            found += sum(holds(value) for value in list(thing.values()))
        elif isinstance(thing, (list, tuple)) and thing is not sys.orig_argv:
            found += sum(holds(value) and value is not PASSPHRASE for value in thing)
    return found


harmless(0, in_memory)


def in_files():
    found = []
    for directory, _, names in os.walk("/"):
        paths = [os.path.join(directory, name) for name in names]
        found += [path for path in paths if not os.path.islink(path) and PASSPHRASE.encode() in read(path)]
    return found


harmless([], in_files)
