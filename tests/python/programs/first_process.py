"""Writes files with packages of the standard library; second_process.py checks them all."""

import csv
import json
import os
import pathlib
import shutil
import sqlite3
import tempfile
import zipfile

root = pathlib.Path("/data")
root.mkdir()

# pathlib
(root / "a/b/c").mkdir(parents=True)
(root / "a/b/c/deep.txt").write_text("deep\n", encoding="utf-8")
(root / "a/ünïcødé").write_bytes(bytes(range(256)) * 40)
os.symlink("a/b/c/deep.txt", root / "link")
(root / "gone").write_text("x")
(root / "gone").unlink()

# json, csv
with open(root / "state.json", "w") as file:
    json.dump({"n": list(range(1000)), "s": "ä\n"}, file)
with open(root / "table.csv", "w", newline="") as file:
    writer = csv.DictWriter(file, ["id", "text"])
    writer.writeheader()
    writer.writerows({"id": i, "text": f'quoted "{i}", and\nmore'} for i in range(300))

# tempfile: with a name, without a name, renamed into place
with tempfile.TemporaryDirectory() as directory:
    pathlib.Path(directory, "inside").write_text("temporary")
    shutil.copytree(root / "a", pathlib.Path(directory, "copy"))
    shutil.copytree(pathlib.Path(directory, "copy"), root / "copied")
assert not os.path.exists(directory)
with tempfile.TemporaryFile() as file:
    file.write(b"unlinked but open " * 10_000)
    file.seek(0)
    assert file.read() == b"unlinked but open " * 10_000
with tempfile.NamedTemporaryFile("w", dir=root, delete=False) as file:
    file.write("new content\n")
os.replace(file.name, root / "replaced")

# shutil
shutil.copy2(root / "state.json", root / "state.copy.json")
shutil.move(root / "copied/b", root / "moved")
os.utime(root / "replaced", (1_000_000_000, 1_234_567_890.5))

# zipfile
with zipfile.ZipFile(root / "archive.zip", "w", zipfile.ZIP_DEFLATED) as archive:
    for number in range(50):
        archive.writestr(f"entry/{number}.txt", f"entry {number}\n" * number)
    archive.write(root / "state.json", "state.json")

# sqlite3, rollback journal
database = sqlite3.connect(root / "table.db")
assert database.execute("pragma journal_mode = delete").fetchone() == ("delete",)
with database:
    database.execute("create table words (id integer primary key, word text)")
    database.executemany("insert into words (word) values (?)", ((f"word {i}",) for i in range(5000)))
with database:
    database.execute("create index by_word on words (word)")
database.execute("delete from words where id % 2 = 0")
database.rollback()
try:
    with database:
        database.execute("update words set word = 'never'")
        raise InterruptedError
except InterruptedError:
    pass
assert not os.path.exists(root / "table.db-journal")

# Left open on purpose.
left = open(root / "left open", "w")
left.write("still there\n")
print("written")
