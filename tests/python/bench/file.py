# One large file: written, read and copied in order, and pages of it at random.

import os
import random
import shutil

MIB = 1 << 20
PAGE = 4096

size, accesses = map(int, SIZES)
mibs = size // MIB
block = bytes(range(256)) * (MIB // 256)
page = b"p" * PAGE
offsets = random.Random(1)


def write():
    with open("/file", "wb", buffering=0) as file:
        for _ in range(mibs):
            # A file system may take less than all in one call.
            rest = memoryview(block)
            while rest:
                rest = rest[file.write(rest) :]


def read():
    with open("/file", "rb", buffering=0) as file:
        found = 0
        while piece := file.read(MIB):
            found += len(piece)
        assert found == size


def read_random(file):
    for _ in range(accesses):
        file.seek(offsets.randrange(size // PAGE) * PAGE)
        assert len(file.read(PAGE)) == PAGE


def write_random(file):
    for _ in range(accesses):
        file.seek(offsets.randrange(size // PAGE) * PAGE)
        assert file.write(page) == PAGE


measure("write by 1 MiB, per MiB", mibs, write)
measure("read by 1 MiB, per MiB", mibs, read)
measure("shutil.copyfile, per MiB", mibs, lambda: shutil.copyfile("/file", "/copy"))
os.unlink("/copy")
with open("/file", "r+b", buffering=0) as file:
    measure("4 KiB read at random", accesses, lambda: read_random(file))
    measure("4 KiB write at random", accesses, lambda: write_random(file))
    measure("fsync after them, per write", accesses, lambda: os.fsync(file.fileno()))
os.unlink("/file")
