# Gives the largest buffers it can make to one call, asks one call for the largest answers, and
# prints much. Must: the host and the file system hold only a piece at a time, in 192 MiB for
# everything; what cannot be had is MemoryError or fewer bytes; the bytes that were written are
# right.

import hashlib

block = b"0123456789abcdef" * (4 << 20)  # 64 MiB
for path in ["/big", "/host/scratch/big"]:
    file = os.open(path, os.O_RDWR | os.O_CREAT)
    done = 0
    while done < len(block):
        count = os.write(file, memoryview(block)[done:])
        assert count > 0
        done += count
    attempts += 1
    harmless(len(block), lambda: os.fstat(file).st_size)
    os.lseek(file, 0, os.SEEK_SET)
    total, sums = 0, hashlib.sha256()
    while piece := os.read(file, 8 << 20):
        total += len(piece)
        sums.update(piece)
    harmless(hashlib.sha256(block).digest(), sums.digest)
    # The buffer that Python makes for the answer is the guest's own memory.
    for size in [(1 << 31) - 1, 1 << 30]:
        refused("MemoryError OverflowError", os.read, file, size)
        refused("MemoryError OverflowError", os.pread, file, size, 0)
    for size in [-1, -(1 << 31)]:
        refused("EINVAL ValueError", os.read, file, size)
    refused("OverflowError", os.read, file, 1 << 64)
    os.close(file)
    os.unlink(path)
del block
# A large file is removed from the store by the commits that follow.
for number in range(100):
    with open("/f", "wb") as file:
        file.write(b"%d" % number)
        file.flush()
        os.fsync(file.fileno())
harmless(b"fits", lambda: (write("/small/f", b"fits"), read("/small/f"))[1])

# A name, a target and a path of a size that only memory bounds.
for size in [1 << 12, 1 << 16, 1 << 20]:
    long = "n" * size
    for call in [open, os.stat, os.mkdir, os.unlink, os.listdir, os.readlink, lambda path: os.symlink(path, "/l"),
                 lambda path: os.rename("/small/f", path), lambda path: os.rename(path, "/small/g")]:
        for path in [long, f"/host/scratch/{long}", f"/image/{long}"]:
            # A link with an absolute target is refused for that.
            refused("ENAMETOOLONG EPERM", call, path)


def take():
    taken = []
    while True:
        taken.append(bytearray(8 << 20))


refused("MemoryError", take)
harmless(b"fits", read, "/small/f")
