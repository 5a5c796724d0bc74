"""Checks what first_process.py wrote."""

import csv
import json
import os
import pathlib
import shutil
import sqlite3
import zipfile

root = pathlib.Path("/data")
assert sorted(os.listdir(root)) == [
    "a",
    "archive.zip",
    "copied",
    "left open",
    "link",
    "moved",
    "replaced",
    "state.copy.json",
    "state.json",
    "table.csv",
    "table.db",
], sorted(os.listdir(root))

assert (root / "link").is_symlink() and (root / "link").read_text() == "deep\n"
assert (root / "a/ünïcødé").read_bytes() == bytes(range(256)) * 40
assert (root / "copied/ünïcødé").read_bytes() == bytes(range(256)) * 40
assert (root / "moved/c/deep.txt").read_text() == "deep\n"
assert not (root / "copied/b").exists()
assert (root / "left open").read_text() == "still there\n"
assert (root / "replaced").read_text() == "new content\n"
assert (root / "replaced").stat().st_mtime == 1_234_567_890.5
assert sorted(str(p.relative_to(root)) for p in root.rglob("*.txt")) == ["a/b/c/deep.txt", "moved/c/deep.txt"]

with open(root / "state.json") as file:
    assert json.load(file) == {"n": list(range(1000)), "s": "ä\n"}
assert (root / "state.copy.json").read_bytes() == (root / "state.json").read_bytes()
assert (root / "state.copy.json").stat().st_mtime_ns == (root / "state.json").stat().st_mtime_ns
with open(root / "table.csv", newline="") as file:
    rows = list(csv.DictReader(file))
assert len(rows) == 300 and rows[7] == {"id": "7", "text": 'quoted "7", and\nmore'}

with zipfile.ZipFile(root / "archive.zip") as archive:
    assert archive.testzip() is None
    assert archive.read("entry/49.txt") == b"entry 49\n" * 49
    archive.extractall(root / "extracted")
assert len(os.listdir(root / "extracted/entry")) == 50
shutil.rmtree(root / "extracted")
assert not (root / "extracted").exists()

database = sqlite3.connect(root / "table.db")
assert database.execute("pragma integrity_check").fetchone() == ("ok",)
assert database.execute("select count(*), min(word), max(word) from words").fetchone() == (5000, "word 0", "word 999")
assert database.execute("select id from words where word = 'word 4321'").fetchone() == (4322,)
with database:
    database.execute("delete from words where id > 10")
database.execute("vacuum")
database.close()
assert sqlite3.connect(root / "table.db").execute("select count(*) from words").fetchone() == (10,)

left = [entry.name for entry in os.scandir("/tmp")] if os.path.exists("/tmp") else []
assert not left, left
print("found")
