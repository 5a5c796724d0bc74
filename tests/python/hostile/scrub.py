# Tries to store a secret in `/`, whose volume is scrubbed of it in all files but those of `/open`:
# at once, in pieces in every order, over what is there, by appends, through holes and sizes,
# buffered and not, in databases and archives, as names and targets of links, by renames and links
# from where it may stand. Must: a file of the same size without the secret, and names that are found
# by what they were made with. The harness searches the records.

import shutil
import sqlite3
import zipfile

# The script itself is never stored, and must not have it whole.
WORD = b"battery-" + b"staple-of-a-horse"
MASK = b"*" * len(WORD)


def check(path, expected):
    harmless(expected, read, path)


# At once, in each way to write.
write("/whole", b"<" + WORD + b">")
check("/whole", b"<" + MASK + b">")
with open("/text", "w") as file:
    print("password:", WORD.decode(), file=file)
check("/text", b"password: " + MASK + b"\n")
file = os.open("/raw", os.O_RDWR | os.O_CREAT)
os.pwrite(file, WORD * 3, 5)
os.close(file)
check("/raw", bytes(5) + MASK * 3)

# In two pieces, in either order; in single bytes, forwards and backwards.
for cut in range(1, len(WORD)):
    for order in [(0, cut), (cut, 0)]:
        file = os.open("/pieces", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        os.pwrite(file, b"." * 60, 0)
        for at in order:
            piece = WORD[:cut] if at == 0 else WORD[cut:]
            os.pwrite(file, piece, 20 + at)
        harmless(b"." * 20 + MASK + b"." * (40 - len(WORD)), os.pread, file, 60, 0)
        os.close(file)
for places in [range(len(WORD)), reversed(range(len(WORD)))]:
    file = os.open("/bytes", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    for at in places:
        os.pwrite(file, WORD[at : at + 1], at)
    os.close(file)
    check("/bytes", MASK)

# By appends of several descriptors, and over the ends of extents.
for start in [0, 4090, 32760, 65530]:
    write("/append", b"x" * start)
    for at in range(0, len(WORD), 5):
        write("/append", WORD[at : at + 5], "ab")
    check("/append", b"x" * start + MASK)

# Through sizes and holes.
file = os.open("/sizes", os.O_RDWR | os.O_CREAT)
os.pwrite(file, WORD[:9] + b"-", 0)
os.ftruncate(file, 9)
os.pwrite(file, WORD[9:], 9)
harmless(MASK, os.pread, file, 99, 0)
os.ftruncate(file, 1 << 40)
os.pwrite(file, WORD[:9], (1 << 40) - 9)
os.pwrite(file, WORD[9:], 1 << 40)
harmless(MASK, os.pread, file, 99, (1 << 40) - 9)
os.close(file)
os.unlink("/sizes")

# By programs that place it themselves.
base = sqlite3.connect("/base.db")
base.execute("create table t (word text, more blob)")
base.execute("insert into t values (?, ?)", (WORD.decode(), b"y" * 5000 + WORD))
base.commit()
harmless(MASK.decode(), lambda: sqlite3.connect("/base.db").execute("select word from t").fetchone()[0])
base.close()
with zipfile.ZipFile("/archive.zip", "w") as archive:
    archive.writestr("plain", WORD)
harmless(False, lambda: WORD in read("/archive.zip"))

# As names and targets: found by what they were made with.
name = "/n-" + WORD.decode()
write(name, b"named")
check(name, b"named")
harmless(True, lambda: name[1:] not in os.listdir("/") and name[1:].replace(WORD.decode(), MASK.decode()) in os.listdir("/"))
os.mkdir(name + "-dir")
write(name + "-dir/in", b"inside")
check(name + "-dir/in", b"inside")
os.symlink("n-" + WORD.decode(), "/link")
harmless("n-" + MASK.decode(), os.readlink, "/link")
check("/link", b"named")
os.rename(name, name + "2")
check(name + "2", b"named")
os.link(name + "2", name)
os.unlink(name + "2")
check(name, b"named")

# From where it may stand: moved, linked, moved while open, copied.
os.mkdir("/open")
write("/open/free", WORD * 2)
check("/open/free", WORD * 2)
os.rename("/open/free", "/moved")
check("/moved", MASK * 2)
write("/open/linked", WORD)
refused("EXDEV", os.link, "/open/linked", "/linked")
os.link("/open/linked", "/open/second")
refused("EXDEV", os.rename, "/open/second", "/second")
refused("EXDEV", os.link, "/moved", "/open/moved")
file = os.open("/open/held", os.O_RDWR | os.O_CREAT)
os.write(file, WORD[:9])
os.rename("/open/held", "/held")
os.write(file, WORD[9:])
os.close(file)
check("/held", MASK)
os.mkdir("/open/dir")
write("/open/dir/file", WORD)
refused("EXDEV", os.rename, "/open/dir", "/dir")
refused("EXDEV", os.rename, "/open", "/opened")
shutil.move("/open/dir", "/dir")
check("/dir/file", MASK)
shutil.copy("/open/linked", "/copied")
check("/copied", MASK)
shutil.rmtree("/open")
