# Ends by a trap in the middle of everything: files open and unlinked, a directory half filled, a
# listing under way, writes not closed, more removals than are gathered. Must: what was synced is
# there, and the store is sound.

write("/synced", b"synced")
os.fsync(os.open("/synced", os.O_RDONLY))
open_files = []
for number in range(200):
    file = os.open(f"/file{number}", os.O_RDWR | os.O_CREAT)
    os.write(file, b"x" * (number * 100))
    if number % 2:
        os.unlink(f"/file{number}")
    open_files.append(file)
for mount in ["/small", "/over"]:
    os.makedirs(f"{mount}/half/filled")
    unclosed = os.open(f"{mount}/half/filled/f", os.O_RDWR | os.O_CREAT)
    os.pwrite(unclosed, b"x" * 5000, 1 << 33)
for number in range(0, 200, 2):
    os.rename(f"/file{number}", f"/renamed{number}")
listing = os.scandir("/")
next(listing)
os.unlink("/over/kept")
os.truncate("/over/dir/inside", 3)
print("reached", flush=True)
os.abort()
