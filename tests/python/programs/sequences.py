"""Random sequences on one file, through one descriptor or two: python sequences.py DIR SEED... [only=STEP,STEP...]

Prints one line for each step: the sequence's seed, the step's number, the step, and its outcome. The same seed
gives the same steps in every Python. No step depends on the outcome of earlier ones, so steps can be left out.
"""

import errno
import io
import os
import sys

STEPS = 30


class Random:
    """Gives the same numbers on every version of Python (a multiplier of Knuth's)."""

    def __init__(self, seed):
        self.state = seed * 2654435761 + 97
        for _ in range(4):
            self.below(2)

    def below(self, limit):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) % limit

    def one_of(self, values):
        return values[self.below(len(values))]


RAW_FLAGS = [
    ("O_RDWR", 6),
    ("O_RDWR|O_CREAT", 6),
    ("O_RDWR|O_APPEND", 3),
    ("O_RDWR|O_TRUNC", 1),
    ("O_RDONLY", 2),
    ("O_WRONLY", 1),
    ("O_WRONLY|O_APPEND", 1),
]
FILE_MODES = [("r+b", 6), ("w+b", 1), ("a+b", 3), ("rb", 2), ("wb", 1), ("ab", 1)]
BUFFERS = [("-1", 3), ("0", 3), ("8", 2)]
RAW_STEPS = [
    ("read", 6),
    ("read_end", 5),
    ("readinto", 2),
    ("write", 6),
    ("seek", 4),
    ("ftruncate", 2),
    ("pread", 2),
    ("pwrite", 2),
    ("size", 1),
]
FILE_STEPS = [
    ("read", 6),
    ("read_end", 5),
    ("readinto", 3),
    ("read1", 1),
    ("readline", 1),
    ("peek", 1),
    ("write", 6),
    ("seek", 4),
    ("tell", 2),
    ("truncate", 2),
    ("truncate_here", 1),
    ("flush", 2),
    ("pread", 1),
    ("pwrite", 1),
    ("size", 1),
]


def weighted(random, choices):
    number = random.below(sum(weight for _, weight in choices))
    for value, weight in choices:
        if number < weight:
            return value
        number -= weight


def data(random):
    length = random.one_of([1, 1, 2, 3, 5, 9, 20, 5000])
    letter = 65 + random.below(26)
    return bytes((letter + at % 3 if at % 7 else 10) for at in range(1, length + 1))


def sequence(seed):
    """Makes the steps of a sequence, each a slot, a name and arguments."""
    random = Random(seed)
    slots = 1 + random.below(2)
    raw = [random.below(2) == 0 for _ in range(2)]
    steps = [opening(random, slot, raw[slot]) for slot in range(slots)]
    while len(steps) < STEPS:
        slot = random.below(slots)
        if random.below(12) == 0:
            steps.append(opening(random, slot, raw[slot]))
            continue
        name = weighted(random, RAW_STEPS if raw[slot] else FILE_STEPS)
        steps.append((slot, name, *arguments(random, name)))
    return steps


def opening(random, slot, raw):
    if raw:
        return (slot, "os.open", weighted(random, RAW_FLAGS))
    return (slot, "open", weighted(random, FILE_MODES), weighted(random, BUFFERS))


def arguments(random, name):
    length = random.one_of([0, 1, 2, 3, 4, 8, 30, 6000])
    offset = random.one_of([0, 0, 1, 2, 3, 5, 8, 13, 30, 5003])
    match name:
        case "read" | "readinto" | "read1":
            return [length]
        case "read_end":
            return []
        case "write":
            return [data(random)]
        case "seek":
            whence = random.below(3)
            return [offset if whence == 0 else offset * random.one_of([-1, 0, 1]), whence]
        case "truncate" | "ftruncate":
            return [offset]
        case "pread":
            return [length, offset]
        case "pwrite":
            return [data(random), offset]
    return []


class Slot:
    """One opening of the file: a descriptor, a file object, or nothing yet."""

    def __init__(self, path):
        self.path, self.file, self.fd, self.is_readable = path, None, None, False

    def close(self):
        try:
            if self.file is not None:
                self.file.close()
            elif self.fd is not None:
                os.close(self.fd)
        finally:
            self.file = self.fd = None

    def take(self, name, *args):
        match name:
            case "os.open":
                self.close()
                flags = 0
                for flag in args[0].split("|"):
                    flags |= getattr(os, flag)
                self.fd = os.open(self.path, flags, 0o644)
                self.is_readable = "WRONLY" not in args[0]
                return None
            case "open":
                self.close()
                self.file = open(self.path, args[0], buffering=int(args[1]))
                self.fd = self.file.fileno()
                self.is_readable = self.file.readable()
                return None
            case "pread":
                # If pread fails, wasi-libc frees memory that it never allocated.
                return os.pread(self.fd, *args) if self.is_readable else None
            case "pwrite":
                return os.pwrite(self.fd, *args)
            case "size":
                return os.fstat(self.fd).st_size
        return self.take_raw(name, *args) if self.file is None else self.take_file(name, *args)

    def take_raw(self, name, *args):
        match name:
            case "read":
                return os.read(self.fd, *args)
            case "read_end":
                parts = []
                while part := os.read(self.fd, 4096):
                    parts.append(part)
                return b"".join(parts)
            case "readinto":
                buffer = bytearray(args[0])
                return io.FileIO(self.fd, "rb", closefd=False).readinto(buffer), bytes(buffer)
            case "write":
                return os.write(self.fd, *args)
            case "seek":
                return os.lseek(self.fd, *args)
            case "ftruncate":
                return os.ftruncate(self.fd, *args)

    def take_file(self, name, *args):
        match name:
            case "read_end":
                return self.file.read()
            case "readinto":
                buffer = bytearray(args[0])
                return self.file.readinto(buffer), bytes(buffer)
            case "truncate_here":
                return self.file.truncate()
        return getattr(self.file, name)(*args)


def shown(value):
    """Shows long bytes by their length, ends and sum."""
    if isinstance(value, tuple):
        return ", ".join(map(shown, value))
    if isinstance(value, bytes) and len(value) > 24:
        total = sum((at % 251 + 1) * byte for at, byte in enumerate(value))
        return f"{len(value)} bytes {value[:8]!r}..{value[-8:]!r} {total}"
    return repr(value)


def attempt(action, *args):
    try:
        return shown(action(*args))
    except OSError as error:
        return f"{type(error).__name__} {errno.errorcode.get(error.errno, error.errno)}"
    except (AttributeError, TypeError, ValueError) as error:
        return type(error).__name__


def content(path):
    with open(path, "rb") as file:
        return file.read()


def run(directory, seed, only):
    path = os.path.join(directory, f"file-{seed}")
    with open(path, "wb") as file:
        file.write(b"0123456789"[: seed % 11])
    slots = [Slot(path), Slot(path)]
    for number, (slot, name, *args) in enumerate(sequence(seed)):
        if only is not None and number not in only:
            continue
        step = f"{'ab'[slot]}.{name}({', '.join(shown(arg) if isinstance(arg, bytes) else str(arg) for arg in args)})"
        print(f"{seed} {number} {step} = {attempt(slots[slot].take, name, *args)}")
    for name, slot in zip("ab", slots):
        print(f"{seed} end {name}.close() = {attempt(slot.close)}")
    print(f"{seed} end content = {attempt(content, path)}")
    os.unlink(path)


def main():
    directory, *words = sys.argv[1:]
    only = None
    if words[-1].startswith("only="):
        only = {int(step) for step in words.pop().removeprefix("only=").split(",") if step}
    first, end = (int(word) for word in words)
    for seed in range(first, end):
        run(directory, seed, only)


main()
