# Everyday loops of Python on small files.

import os
import sqlite3

FILES = int(SIZES[0])
CONTENT = b"x" * 1000
ROWS = 20_000


def create():
    for path in paths:
        with open(path, "wb") as file:
            file.write(CONTENT)


def stat():
    for path in paths:
        os.stat(path)


def open_and_read():
    for path in paths:
        with open(path, "rb") as file:
            assert len(file.read()) == len(CONTENT)


def missing():
    for path in missing_paths:
        os.path.exists(path)


def scandir():
    assert sum(1 for entry in os.scandir("/bench") if entry.is_file()) == FILES


def unlink():
    for path in paths:
        os.unlink(path)


def sqlite():
    database = sqlite3.connect("/bench/rows.db")
    database.execute("create table rows (id integer primary key, text text)")
    with database:
        database.executemany("insert into rows (text) values (?)", ((f"row {i}",) for i in range(ROWS)))
    database.close()


os.mkdir("/bench")
paths = [f"/bench/file-{i:05}" for i in range(FILES)]
missing_paths = [f"/bench/none-{i:05}" for i in range(FILES)]
measure("create", FILES, create)
measure("stat", FILES, stat)
measure("open + read", FILES, open_and_read)
measure("missing name", FILES, missing)
measure("scandir, per entry", FILES, scandir)
measure("unlink", FILES, unlink)
measure("sqlite3, 20,000 rows", 1, sqlite)
