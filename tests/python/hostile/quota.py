# Tries to store more in `/small` than its 256 KiB, 64 inodes and 96 names: holes filled later,
# files unlinked while open, hard links, renames over files, many tiny files, long names, deep
# trees, link targets, appends, sizes set far. Must: each ends with EDQUOT, what was there stays
# whole, and removing makes room again. The harness measures the store.

import shutil

BYTES = 256 << 10


def emptied():
    for name in os.listdir("/small"):
        path = f"/small/{name}"
        shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
    # There is room for almost everything again.
    write("/small/room", b"r" * (BYTES - 1024))
    os.unlink("/small/room")
    write("/small/base", b"base")


def until_full(call):
    """Makes the call until it is refused, and returns how often it worked."""
    global attempts
    attempts += 1
    for number in range(1000):
        name, _ = outcome(call, number)
        if name:
            assert name in ["EDQUOT", "EIO"], name
            refused("EDQUOT EIO", call, number + 1)
            assert read("/small/base") == b"base"
            return number
    raise AssertionError("never full")


emptied()
# One large write, and one in pieces.
refused("EDQUOT " + STREAM, write, "/small/big", b"x" * (BYTES + 1))
emptied()
until_full(lambda number: write("/small/big", b"x" * 4096, "ab"))
assert os.path.getsize("/small/big") <= BYTES
until_full(lambda number: write(f"/small/more{number}", b"x" * 1024))

# Holes are free, and filling them is not.
emptied()
file = os.open("/small/holes", os.O_RDWR | os.O_CREAT)
os.ftruncate(file, 1 << 40)
until_full(lambda number: os.pwrite(file, b"x" * 4096, number << 30))
refused("EDQUOT", os.pwrite, file, b"x" * 65536, (1 << 40) - 65536)
os.close(file)

# Bytes without a name count too.
emptied()
file = os.open("/small/unlinked", os.O_RDWR | os.O_CREAT)
os.unlink("/small/unlinked")
held = until_full(lambda number: os.pwrite(file, b"x" * 8192, number * 8192)) * 8192
refused("EDQUOT " + STREAM, write, "/small/other", b"x" * (BYTES - held))
os.close(file)
write("/small/other", b"x" * (BYTES // 2))

# Open files without names count as inodes.
emptied()
held = []


def unlinked(number):
    file = os.open("/small/u", os.O_RDWR | os.O_CREAT)
    os.unlink("/small/u")
    held.append(file)


assert until_full(unlinked) <= 64
for file in held:
    os.close(file)

# Names and inodes.
for most, call in [(96, lambda number: os.link("/small/base", f"/small/n{number}")),
                   (64, lambda number: write(f"/small/n{number}", b"")),
                   (64, lambda number: os.mkdir(f"/small/n{number}")),
                   (64, lambda number: os.symlink("t" * 4000, f"/small/n{number}")),
                   (64, lambda number: os.makedirs("/small/" + "d/" * (number + 1), exist_ok=False)),
                   (96, lambda number: os.link("/small/base", f"/small/{number:03}" + "n" * 250)),
                   (64, lambda number: write(f"/small/{number:03}" + "n" * 250, b"x" * 3000))]:
    emptied()
    assert until_full(call) <= most

# A rename over a file gives back what it replaces, once.
emptied()
for number in range(200):
    write("/small/new", b"x" * (BYTES // 3))
    os.rename("/small/new", "/small/base2")
until_full(lambda number: write(f"/small/f{number}", b"x" * 16384))
until_full(lambda number: write("/small/base3", b"x" * 64, "ab"))
refused("EDQUOT", os.rename, "/small/f0", "/small/" + "l" * 255)
refused("EDQUOT", os.link, "/small/f0", "/small/" + "l" * 255)

# Sizes set and cut again and again free what they charge, no more and no less.
emptied()
for number in range(300):
    write("/small/cut", b"x" * (BYTES // 2))
    os.truncate("/small/cut", number)
    os.truncate("/small/cut", BYTES * 100)
    assert read("/small/cut")[number:1000] == bytes(1000 - number) if number < 1000 else True
os.unlink("/small/cut")
until_full(lambda number: write(f"/small/f{number}", b"x" * 8192))

# A copy from elsewhere has no other way in.
write("/source", b"x" * (BYTES * 2))
refused("EDQUOT EIO", shutil.copyfile, "/source", "/small/copy")
refused("EXDEV", os.rename, "/source", "/small/source")
refused("EXDEV", os.link, "/source", "/small/source")

# What is removed while it is open, or behind a size that was cut, waits in the store for later
# commits. It must not pile up there.
emptied()
for number in range(600):
    file = os.open("/small/churn", os.O_RDWR | os.O_CREAT)
    os.write(file, b"x" * 20_000)
    if number % 3 == 0:
        os.fsync(file)
    os.unlink("/small/churn")
    if number % 3 == 1:
        os.fsync(file)
    os.close(file)
held = []
for number in range(40):
    file = os.open("/small/churn", os.O_RDWR | os.O_CREAT)
    os.pwrite(file, b"x" * 4000, 0)
    os.pwrite(file, b"x", 1 << 40)
    os.fsync(file)
    os.ftruncate(file, 100)
    os.unlink("/small/churn")
    held.append(file)
harmless(b"base", read, "/small/base")
