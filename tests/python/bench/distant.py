# What a program does with files that are far away, a step at a time. The first size names the step:
# each runs in a process of its own, with nothing in memory.

import importlib
import io
import os
import sqlite3
import sys
import zipfile

from kvfs_python.library import library

MIB = 1 << 20
FILES = 1000
FILE_BYTES = 4096
SITE = "/site"


def archive():
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as files:
        for number in range(FILES):
            files.writestr(f"d{number // 100}/file-{number:04}", bytes([number % 251]) * FILE_BYTES)
    return whole


def unpack():
    whole = archive()
    measure("unpack 1,000 files of 4 KiB", 1, lambda: zipfile.ZipFile(whole).extractall("/tree"))


def walk():
    found = 0
    for directory, _, names in os.walk("/tree"):
        for name in names:
            found += os.stat(f"{directory}/{name}").st_size
    assert found == FILES * FILE_BYTES


def stat():
    measure("list and stat them, cold", 1, walk)
    measure("list and stat them again, warm", 1, walk)


def read():
    def read_all():
        for number in range(FILES):
            with open(f"/tree/d{number // 100}/file-{number:04}", "rb") as file:
                assert file.read() == bytes([number % 251]) * FILE_BYTES

    measure("read them by name, cold", 1, read_all)


def forget():
    for name in [name for name in sys.modules if name.split(".")[0] == "asyncio"]:
        del sys.modules[name]
    sys.path_importer_cache.clear()
    importlib.invalidate_caches()


def import_asyncio():
    forget()
    importlib.import_module("asyncio")
    assert sys.modules["asyncio.events"].__file__.startswith(SITE), sys.modules["asyncio.events"].__file__


def site():
    # From here on it is found on the file system alone.
    sources = {name: library.get_source(name) for name in library.files if name.split(".")[0] == "asyncio"}
    for name in sources:
        is_package = library.is_package(name)
        del library.files[name]
        path = f"{SITE}/{name.replace('.', '/')}"
        sources[name] = (f"{path}/__init__.py" if is_package else f"{path}.py", sources[name])
    sys.path.insert(0, SITE)
    sys.dont_write_bytecode = False
    return sources.values()


def install():
    for path, source in site():
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(source)
    # Leaves the compiled modules beside.
    import_asyncio()


def imports():
    site()
    measure("import asyncio (33 modules), cold", 1, import_asyncio)
    measure("import it again, warm", 1, import_asyncio)


def database():
    rows = sqlite3.connect("/rows.db")
    rows.execute("create table rows (id integer primary key, text text)")

    def together():
        with rows:
            rows.executemany("insert into rows (text) values (?)", ((f"row {i}",) for i in range(10_000)))

    def apart():
        for number in range(100):
            with rows:
                rows.execute("insert into rows (text) values (?)", (f"alone {number}",))

    measure("sqlite3: 10,000 inserts in one transaction", 1, together)
    measure("sqlite3: 100 inserts, each in its own", 1, apart)
    rows.close()


def write_large():
    mibs = int(SIZES[1])
    block = bytes(range(256)) * (MIB // 256)

    def write():
        with open("/large", "wb", buffering=0) as file:
            for _ in range(mibs):
                rest = memoryview(block)
                while rest:
                    rest = rest[file.write(rest) :]
            os.fsync(file.fileno())

    measure("write a large file and sync, per MiB", mibs, write)


def read_large():
    mibs = int(SIZES[1])

    def read():
        with open("/large", "rb", buffering=0) as file:
            found = 0
            while piece := file.read(MIB):
                found += len(piece)
            assert found == mibs * MIB

    measure("read it in order, cold, per MiB", mibs, read)


steps = {step.__name__: step for step in (unpack, stat, read, install, imports, database, write_large, read_large)}
steps[SIZES[0]]()
