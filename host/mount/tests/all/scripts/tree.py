"""A tree with everything that a volume keeps.

tree.py make               makes it in the current directory
tree.py compare ONE OTHER  fails unless both hold the same
"""

import os
import random
import stat
import sys


def make():
    chance = random.Random(1)
    for number in range(60):
        with open(f"small-{number}", "wb") as file:
            file.write(chance.randbytes(chance.randrange(5000)))
    for number, size in enumerate([0, 1, 4096, 4097, 16384, 16385, 1 << 20, 5_000_001]):
        with open(f"size-{number}", "wb") as file:
            file.write(chance.randbytes(size))
    with open("holes", "wb") as file:
        for place in (0, 1 << 20, 6 << 20):
            file.seek(place)
            file.write(b"data")
        file.truncate(9 << 20)
    os.makedirs("deep/" + "/".join(f"level{number}" for number in range(20)))
    for number in range(1200):
        os.makedirs(f"many/d{number % 10}", exist_ok=True)
        with open(f"many/d{number % 10}/file with a rather long name {number}", "w") as file:
            file.write(str(number))
    os.mkdir("empty")
    os.symlink("small-0", "link")
    os.symlink("/no/such/place", "dangling")
    os.symlink("many/d1", "link to a directory")
    os.link("small-2", "second name")
    with open("nämé \N{SNOWMAN}", "w") as file:
        file.write("unicode")
    os.utime("small-3", ns=(10**18 + 5, 123_456_789_987_654_321))
    os.utime("size-1", ns=(0, 0))
    for path, directories, files in os.walk(".", topdown=False):
        for number, name in enumerate(directories):
            os.utime(os.path.join(path, name), ns=(1, 10**18 + number * 10**9 + 1), follow_symlinks=False)


def seen(root):
    entries, inodes = {}, {}
    for path, directories, files in os.walk(root):
        for name in directories + files:
            full = os.path.join(path, name)
            found = os.lstat(full)
            short = os.path.relpath(full, root)
            kind = stat.S_IFMT(found.st_mode)
            content = None
            if stat.S_ISREG(found.st_mode):
                with open(full, "rb") as file:
                    content = file.read()
                inodes.setdefault(found.st_ino, []).append(short)
            elif stat.S_ISLNK(found.st_mode):
                content = os.readlink(full)
            # GNU tar writes whole seconds.
            entries[short] = (kind, found.st_mtime_ns // 10**9, content)
    return entries, sorted(sorted(names) for names in inodes.values() if len(names) > 1)


def compare(one, other):
    (left, left_links), (right, right_links) = seen(one), seen(other)
    for name in sorted(left.keys() | right.keys()):
        if left.get(name) != right.get(name):
            short = [entry and (entry[0], entry[1], entry[2] and len(entry[2])) for entry in (left.get(name), right.get(name))]
            sys.exit(f"{name!r} differs: {short}")
    if left_links != right_links:
        sys.exit(f"hard links differ: {left_links} and {right_links}")
    if len(left) < 1000:
        sys.exit(f"only {len(left)} entries were compared")


if sys.argv[1] == "make":
    make()
else:
    compare(sys.argv[2], sys.argv[3])
