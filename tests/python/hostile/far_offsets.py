# Seeks, writes, reads and sets sizes at 2^31, 2^32, 2^40, 2^62, 2^63 - 1 and beyond. Must: a far
# byte costs no more than a near one, what no file reaches is refused, and nothing overflows. The
# harness measures the store.

for mount in ["", "/over"]:
    for far in [(1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 40, 1 << 62, (1 << 63) - 2]:
        path = f"{mount}/far"
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        os.pwrite(file, b"x", far)
        harmless(far + 1, lambda: os.fstat(file).st_size)
        harmless(b"x", os.pread, file, 100, far)
        harmless(bytes(16), os.pread, file, 16, far - 16)
        harmless(b"", os.pread, file, 16, far + 1)
        os.ftruncate(file, 0)
        os.ftruncate(file, far)
        harmless(bytes(16), os.pread, file, 16, far // 2)
        os.lseek(file, far, os.SEEK_SET)
        harmless(1, os.write, file, b"y")
        harmless(bytes(1000), lambda: os.pread(file, 1000, 0))
        os.close(file)
        os.unlink(path)
    file = os.open(f"{mount}/far", os.O_RDWR | os.O_CREAT)
    for far in [(1 << 63) - 1]:
        refused("EFBIG EINVAL", os.pwrite, file, b"xx", far)
    for far in [1 << 63, 1 << 64, (1 << 64) - 1, -(1 << 63) - 1]:
        refused("OverflowError", os.pwrite, file, b"x", far)
        refused("OverflowError", os.ftruncate, file, far)
        refused("OverflowError", os.lseek, file, far, os.SEEK_SET)
    for far in [-1, -(1 << 63)]:
        refused("EINVAL EFBIG", os.pwrite, file, b"x", far)
        refused("EINVAL EFBIG", os.ftruncate, file, far)
        refused("EINVAL", os.lseek, file, far, os.SEEK_SET)
    # Past the largest offset by a seek from here, and by appending.
    os.ftruncate(file, (1 << 63) - 2)
    os.lseek(file, 0, os.SEEK_END)
    refused("EOVERFLOW EINVAL", os.lseek, file, 1 << 62, os.SEEK_CUR)
    harmless(1, os.write, file, b"x")
    refused("EFBIG EIO", os.write, file, b"x" * 100)
    append = os.open(f"{mount}/far", os.O_WRONLY | os.O_APPEND)
    refused("EFBIG EIO", os.write, append, b"x" * 100)
    os.close(append)
    os.close(file)
    os.unlink(f"{mount}/far")
