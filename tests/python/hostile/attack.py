# Stands in front of every script here. The tree that they attack:
#
#   /                a volume, empty
#   /locked          a volume, read-only      kept, dir/inside, link -> kept
#   /image           a packed tree            the same, and absolute -> /kept
#   /over            a volume above that tree
#   /small           a volume with 256 KiB, 64 inodes and 96 names
#   /files           a volume with 64 KiB for each file, and 4 MiB
#   /host            a directory of the host  as /locked, and links that lead outside
#   /given           another, read-only       the same
#   /map             the same directory by a file map: conf is its kept
#   /ruled           a volume with a policy   conf/main and conf/dir can only be read; free can be
#                                             changed, but for the name free/pinned; drop takes files
#                                             and gives none back; closed gives nothing; hidden and
#                                             each .env are absent
#   /ruled-host      a directory of the host  the same, and links to hidden
#
# Out of reach: the volume `other` of the same store, and the directories around `/host`. Both hold
# a secret.

import errno
import os

# Streams report every failure as EIO in this guest's libc, and ESHUTDOWN after that.
STREAM = "EIO ESHUTDOWN"
SECRET = b"the " + b"secret of another"
READ_ONLY = ["/locked", "/image", "/given"]
attempts = 0


def outcome(call, *arguments, **options):
    """Returns the name of the error, or `None` and the result."""
    try:
        return None, call(*arguments, **options)
    except OSError as error:
        return errno.errorcode.get(error.errno, type(error).__name__), None
    except Exception as error:
        return type(error).__name__, None


def refused(names, call, *arguments, **options):
    """Makes an attempt that must fail with one of these errors."""
    global attempts
    attempts += 1
    name, result = outcome(call, *arguments, **options)
    told = f"{getattr(call, '__name__', call)}{arguments}"
    assert name is not None, f"not refused: {told[:200]} returned {result!r:.200}"
    assert name in names.split(), f"{told[:200]}: {name}, not {names}"


def harmless(expected, call, *arguments, **options):
    """Makes an attempt that may succeed, with this result."""
    global attempts
    attempts += 1
    result = call(*arguments, **options)
    told = f"{getattr(call, '__name__', call)}{arguments}"
    assert result == expected, f"not harmless: {told[:200]} returned {result!r:.200}"


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, content=b"written", mode="wb"):
    with open(path, mode) as file:
        file.write(content)


def names(path):
    return sorted(os.listdir(path))


def is_whole(mount):
    """Fails unless a mount holds what it held at the start."""
    assert read(f"{mount}/kept") == b"kept", mount
    assert read(f"{mount}/dir/inside") == b"inside", mount
    assert os.readlink(f"{mount}/link") == "kept", mount
    assert names(f"{mount}/dir") == ["inside"], mount
    assert {"dir", "kept", "link"} <= set(names(mount)), mount
