# Reads everything that can be reached from `/` and from the descriptors that a program starts with,
# and looks for the secret of the volume `other` and of the host's directories. Must: it is nowhere.

import sys

seen = 0
for top, directories, files in os.walk("/", followlinks=False):
    for name in directories + files:
        path = os.path.join(top, name)
        error, content = outcome(read, path)
        assert error or SECRET not in content, path
        assert SECRET.decode() not in path, path
        error, target = outcome(os.readlink, path)
        assert error or SECRET.decode() not in target, path
        seen += 1
attempts += 1
assert seen > 20, seen

# Every number that could be a descriptor.
opened = []
for number in range(0, 4096):
    error, stat = outcome(os.fstat, number)
    if error is None:
        opened.append(number)
harmless([0, 1, 2, 3], list, opened)
for number in [4, 5, 100, 4095, 65_535, 65_536, 1 << 20, (1 << 31) - 1, -1, -100, -(1 << 31)]:
    for call in [os.fstat, os.fsync, os.close, lambda n: os.read(n, 1), lambda n: os.write(n, b"x"),
                 lambda n: os.pread(n, 1, 0), lambda n: os.lseek(n, 0, 0), lambda n: os.ftruncate(n, 0),
                 lambda n: os.open("f", os.O_RDONLY, dir_fd=n), lambda n: os.mkdir("d", dir_fd=n)]:
        refused("EBADF ValueError", call, number)
for number in [1 << 31, 1 << 32, 1 << 64, -(1 << 31) - 1, 1 << 1000]:
    refused("OverflowError ValueError", os.fstat, number)
    refused("OverflowError", os.close, number)

# The environment and the arguments are what the host gave, and tell nothing of the host.
harmless({}, dict, os.environ)
harmless("/", os.getcwd)
harmless(["-c"], list, sys.argv)
for name in ["HOME", "PATH", "PWD", "USER"]:
    harmless(None, os.environ.get, name)
