# Tries to forge lines of the audit log, to hide what it does behind long paths, and to break the
# terminal of whoever reads the log. Must: each call is in the log once, as it was given.

import json
import os

names = [
    'a"b',
    'a\\',
    'a\n{"n":1,"t":"2026-01-01T00:00:00.000000000Z","op":"forged","result":"ok"}',
    '","op":"forged","x":"',
    '\\","op":"forged","x":"',
    '\\u0022,',
    "\x1b[2J\x1b]0;title\x07",
    "\r\x08\x7f\x9b31m",
    "\u202egpj.exe\u2066\u200b\u2028\u2029\ufeff\U000e0041",
    "\x01" * 255,
    "\U0001f642" * 63,
    "n" * 255,
    " ",
    "...",
]
made = []
for directory in ("/", "/data/", "/data/deep/"):
    for name in names:
        os.mkdir(directory + name)
        made.append(directory + name)

# The longest path that is taken, most of it a name that is escaped.
path = "/data/" + "./" * ((4095 - 6 - 200) // 2) + "\x02" * 199
os.mkdir(path)
made.append(path)
for long in ("/" + "x" * 5000, "/data/" + "\x03" * 100000):
    try:
        os.mkdir(long)
        assert False, "not refused"
    except OSError:
        pass

# What is done below a long base does not hide behind it.
os.mkdir("/data/base")
made.append("/data/base")
base = os.open("/data/" + "./" * 2000 + "base", os.O_RDONLY)
os.close(os.open("behind-a-long-base", os.O_CREAT | os.O_WRONLY, dir_fd=base))
deeper = os.open("./" * 100 + ".", os.O_RDONLY, dir_fd=base)
os.unlink("behind-a-long-base", dir_fd=deeper)

# Neither the log's records nor a volume of it is anywhere in the tree.
for root, directories, files in os.walk("/"):
    assert not any("audit" in name for name in directories + files), root
print(json.dumps(made))
