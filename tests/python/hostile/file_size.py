# Tries to make a file in `/files` larger than its 64 KiB: writes in one piece and in many, appends,
# offsets behind the limit, sizes set, holes, files without names, hard links, renames and copies.
# Must: each ends with EFBIG or is cut short at the limit, what was there stays whole, and no file
# ever has more.

import shutil

LIMIT = 64 << 10
PATH = "/files/f"


def size_is_kept(path=PATH):
    assert os.path.getsize(path) <= LIMIT, os.path.getsize(path)


def full():
    write(PATH, b"x" * LIMIT)
    assert read(PATH) == b"x" * LIMIT


full()
for more in [1, 100, LIMIT, 1 << 20]:
    refused("EFBIG " + STREAM, write, PATH, b"x" * (LIMIT + more))
    size_is_kept()
    refused("EFBIG " + STREAM, write, "/files/new", b"x" * (LIMIT + more), "xb")
    size_is_kept("/files/new")
    os.unlink("/files/new")
full()
for more in [b"y", b"y" * 100_000]:
    refused("EFBIG " + STREAM, write, PATH, more, "ab")
    refused("EFBIG " + STREAM, write, PATH, b"z" * LIMIT + more, "r+b")
    size_is_kept()
full()
for size in [LIMIT + 1, 1 << 20, 1 << 40, (1 << 63) - 1]:
    refused("EFBIG", os.truncate, PATH, size)
assert read(PATH) == b"x" * LIMIT

for flags in [os.O_RDWR, os.O_RDWR | os.O_APPEND, os.O_WRONLY]:
    full()
    file = os.open(PATH, flags)
    refused("EFBIG", os.ftruncate, file, LIMIT + 1)
    for offset in [LIMIT, LIMIT + 1, 1 << 20, 1 << 40, (1 << 63) - 2]:
        refused("EFBIG", os.pwrite, file, b"y", offset)
    os.close(file)
    assert os.path.getsize(PATH) == LIMIT

# A write over the limit takes what is below it.
file = os.open(PATH, os.O_RDWR)
for before in [1, 10, 5000, LIMIT]:
    harmless(before, os.pwrite, file, b"p" * (before + 1), LIMIT - before)
    harmless(before, os.pwrite, file, b"q" * (1 << 20), LIMIT - before)
os.close(file)
assert read(PATH) == b"q" * LIMIT

# Holes count as bytes do, and so do files without names.
for path in [PATH, "/files/unlinked"]:
    file = os.open(path, os.O_RDWR | os.O_CREAT)
    if path != PATH:
        os.unlink(path)
    os.ftruncate(file, 0)
    refused("EFBIG", os.pwrite, file, b"h", LIMIT)
    harmless(1, os.pwrite, file, b"hh", LIMIT - 1)
    refused("EFBIG", os.ftruncate, file, LIMIT * 2)
    os.ftruncate(file, 10)
    os.ftruncate(file, LIMIT)
    assert os.fstat(file).st_size == LIMIT and os.pread(file, LIMIT, 0) == bytes(LIMIT)
    os.close(file)

# In small pieces, by two descriptors that take turns.
os.truncate(PATH, 0)
pair = [os.open(PATH, os.O_RDWR) for _ in range(2)]
for number in range(64):
    assert os.pwrite(pair[number % 2], b"t" * 1024, number * 1024) == 1024
for number in range(64, 80):
    refused("EFBIG", os.pwrite, pair[number % 2], b"t" * 1024, number * 1024)
for file in pair:
    os.close(file)
assert read(PATH) == b"t" * LIMIT

# Other names, and other ways in.
os.link(PATH, "/files/g")
refused("EFBIG", os.truncate, "/files/g", LIMIT + 1)
os.rename("/files/g", "/files/h")
refused("EFBIG " + STREAM, write, "/files/h", b"x", "ab")
write("/large", b"l" * (3 * LIMIT))
refused("EXDEV", os.rename, "/large", "/files/large")
refused("EXDEV", os.link, "/large", "/files/large")
refused("EFBIG " + STREAM, shutil.copyfile, "/large", "/files/large")
size_is_kept("/files/large")
os.symlink("files/f", "/through")
refused("EFBIG", os.truncate, "/through", LIMIT + 1)
assert read(PATH) == b"t" * LIMIT

# Other mounts have no such limit.
os.truncate("/large", 1 << 30)
os.unlink("/large")
