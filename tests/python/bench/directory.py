# A directory of many files, and a tree of as many.

import os
import shutil

files = int(SIZES[0])
# In the tree, each directory has as many files and as many directories below it.
FAN = 20


def create():
    for number in range(files):
        with open(f"/many/file-{number:08}", "wb", buffering=0) as file:
            file.write(b"x" * 100)


def scandir():
    with os.scandir("/many") as entries:
        assert sum(1 for entry in entries if entry.is_file()) == files


def scandir_stat():
    with os.scandir("/many") as entries:
        assert sum(entry.stat().st_size for entry in entries) == 100 * files


def stat():
    for number in range(files):
        os.stat(f"/many/file-{number:08}")


def make_tree():
    made = 0
    waiting = ["/tree"]
    for path in waiting:
        os.mkdir(path)
        for number in range(min(FAN, files - made)):
            with open(f"{path}/file-{number:02}", "wb"):
                made += 1
        if made == files:
            return
        waiting.extend(f"{path}/directory-{number:02}" for number in range(FAN))


def walk():
    assert sum(len(names) for _, _, names in os.walk("/tree")) == files


os.mkdir("/many")
measure("create + write 100 B + close", files, create)
measure("scandir, per entry", files, scandir)
measure("scandir + stat of each, per entry", files, scandir_stat)
measure("os.stat in order", files, stat)
measure("shutil.rmtree, per file", files, lambda: shutil.rmtree("/many"))
measure("create empty in a tree", files, make_tree)
measure("os.walk of the tree, per file", files, walk)
