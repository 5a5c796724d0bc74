# Sets times far in the past and in the future, and with nanoseconds of more than a second. Must: a
# time that can be kept is kept, each other is refused, in volumes and in a directory of the host.

for path in ["/f", "/over/kept", "/host/scratch/f"]:
    write(path)
    for seconds in [0, 1, (1 << 31) - 1, 1 << 31, 1 << 32]:
        os.utime(path, ns=(seconds * 10**9, seconds * 10**9 + 999_999_999))
        harmless(seconds * 10**9 + 999_999_999, lambda: os.stat(path).st_mtime_ns)
    for seconds in [1 << 40, 253_402_300_800, 18_446_744_073, (1 << 63) // 10**9 + 1, (1 << 63) - 1]:
        # Python's own clock type ends at 2^63 ns; the file systems of hosts end earlier.
        name, _ = outcome(os.utime, path, (seconds, seconds))
        attempts += 1
        assert name in [None, "EINVAL", "EOVERFLOW", "OverflowError"], name
        name, stat = outcome(os.stat, path)
        assert name in [None, "EOVERFLOW"], name
    for seconds in [-1, -(1 << 31), -(1 << 40)]:
        refused("EINVAL EOVERFLOW", os.utime, path, (seconds, seconds))
    for seconds in [1 << 63, 1 << 64, float("inf"), float("nan"), 1e300]:
        refused("OverflowError ValueError", os.utime, path, (seconds, seconds))
    refused("ENOENT", os.utime, path + "x", (0, 0))
    os.utime(path, (1, 1))
    harmless(10**9, lambda: os.stat(path).st_mtime_ns)
