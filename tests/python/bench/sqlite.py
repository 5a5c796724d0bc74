# A database of about so many bytes, with an index, filled, read and changed in the journal mode and
# with the syncs that sqlite has by default.

import os
import random
import sqlite3

ROW_BYTES = 200

size, asked = map(int, SIZES)
rows = max(size // ROW_BYTES, 100)
numbers = random.Random(2)


def values():
    for number in range(rows):
        yield number, numbers.randrange(rows), "t" * (ROW_BYTES - 60)


def insert():
    with database:
        database.executemany("insert into rows values (?, ?, ?)", values())


def index():
    with database:
        database.execute("create index by_key on rows (key)")


def points():
    for _ in range(asked):
        key = numbers.randrange(rows)
        assert len(database.execute("select text from rows where id = ?", (key,)).fetchall()) == 1


def ranges():
    width = min(rows, 100)
    for _ in range(asked // 10):
        start = numbers.randrange(rows - width + 1)
        query = "select count(*), sum(key) from rows where id >= ? and id < ?"
        assert database.execute(query, (start, start + width)).fetchone()[0] == width


def by_index():
    for _ in range(asked):
        database.execute("select id from rows where key = ?", (numbers.randrange(rows),)).fetchall()


def updates():
    for _ in range(asked // 10):
        with database:
            database.execute("update rows set key = key + 1 where id = ?", (numbers.randrange(rows),))


database = sqlite3.connect("/rows.db")
database.execute("create table rows (id integer primary key, key integer, text text)")
measure("insert, per row", rows, insert)
measure("create index, per row", rows, index)
database.close()
database = sqlite3.connect("/rows.db")
measure("point read", asked, points)
measure("range read of 100 rows", asked // 10, ranges)
measure("point read by the index", asked, by_index)
measure("update transaction", asked // 10, updates)
measure("count of all, per row", rows, lambda: database.execute("select count(*), sum(key) from rows").fetchone())
database.close()
assert os.path.getsize("/rows.db") >= size // 2
