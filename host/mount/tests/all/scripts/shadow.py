"""Random operations on a file in the current directory, each compared with a copy in memory.

shadow.py SEED BYTES STEPS COPY   runs STEPS operations on files of up to BYTES, and leaves copies in COPY
shadow.py SEED compare COPY       compares the files with their copies
"""

import mmap
import os
import random
import sys

seed = int(sys.argv[1])
name = f"file-{seed}"


def check(real, wanted, what):
    if real != wanted:
        at = next((i for i, (a, b) in enumerate(zip(real, wanted)) if a != b), min(len(real), len(wanted)))
        sys.exit(f"seed {seed}, {what}: {len(real)} bytes instead of {len(wanted)}, different from {at} on")


def compare(copy):
    with open(name, "rb") as file, open(os.path.join(copy, name), "rb") as saved:
        check(file.read(), saved.read(), "after a remount")


def run(most, steps, copy):
    chance = random.Random(seed)
    shadow = bytearray()
    done = []
    fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL)

    def grow(size):
        if len(shadow) < size:
            shadow.extend(bytes(size - len(shadow)))

    def piece():
        offset = chance.randrange(most)
        length = min(chance.choice([1, 7, 4096, 16384, most // 3 + 1]), most - offset)
        return offset, chance.randrange(length) + 1

    for step in range(steps):
        what = chance.choice(
            ["write"] * 4 + ["read"] * 4 + ["truncate", "append", "reopen", "sync", "holes", "mmap", "mmap-write", "direct"]
        )
        offset, length = piece()
        done.append((what, offset, length))
        where = f"step {step}, {done[-6:]}"
        if what == "write":
            data = chance.randbytes(length)
            assert os.pwrite(fd, data, offset) == length, where
            grow(offset + length)
            shadow[offset : offset + length] = data
        elif what == "read":
            check(os.pread(fd, length, offset), bytes(shadow[offset : offset + length]), where)
        elif what == "truncate":
            if chance.random() < 0.5:
                os.ftruncate(fd, offset)
            else:
                os.truncate(name, offset)
            del shadow[offset:]
            grow(offset)
        elif what == "append":
            room = min(length, most - len(shadow))
            if room > 0:
                data = chance.randbytes(room)
                with open(name, "ab", buffering=0) as file:
                    assert file.write(data) == room, where
                shadow.extend(data)
        elif what == "reopen":
            os.close(fd)
            if chance.random() < 0.05:
                fd = os.open(name, os.O_RDWR | os.O_TRUNC)
                shadow.clear()
            else:
                fd = os.open(name, os.O_RDWR)
        elif what == "sync":
            chance.choice([os.fsync, os.fdatasync])(fd)
        elif what == "holes":
            # Whatever is no data is zero, and the parts are in order.
            at = 0
            while at < len(shadow):
                try:
                    start = os.lseek(fd, at, os.SEEK_DATA)
                except OSError:
                    start = len(shadow)
                assert start >= at and not any(shadow[at:start]), f"{where}: data in the hole {at}..{start}"
                if start == len(shadow):
                    break
                at = os.lseek(fd, start, os.SEEK_HOLE)
                assert at > start, where
        elif what in ("mmap", "mmap-write") and shadow:
            with mmap.mmap(fd, len(shadow)) as seen:
                offset = min(offset, len(shadow) - 1)
                end = min(offset + length, len(shadow))
                check(seen[offset:end], bytes(shadow[offset:end]), where)
                if what == "mmap-write":
                    data = chance.randbytes(end - offset)
                    seen[offset:end] = data
                    shadow[offset:end] = data
                    if chance.random() < 0.5:
                        seen.flush()
        elif what == "direct":
            # Another descriptor sees the same.
            other = os.open(name, os.O_RDONLY)
            check(os.pread(other, length, offset), bytes(shadow[offset : offset + length]), where)
            os.close(other)
        size = os.fstat(fd).st_size
        assert size == len(shadow), f"seed {seed}, {where}: {size} bytes instead of {len(shadow)}"
        assert os.stat(name).st_size == len(shadow), where
    check(os.pread(fd, most + 1, 0) if most < 1 << 20 else open(name, "rb").read(), bytes(shadow), "at the end")
    os.close(fd)
    with open(os.path.join(copy, name), "wb") as file:
        file.write(shadow)


if sys.argv[2] == "compare":
    compare(sys.argv[3])
else:
    run(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
