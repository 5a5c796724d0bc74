# Misuses descriptors: after close, twice closed, by reused numbers, of directories as files and
# files as directories, of the preopened directory, by dup. Must: each call is refused, and no other
# descriptor is hit.

write("/f", b"content")
write("/g", b"another")
file = os.open("/f", os.O_RDWR)
directory = os.open("/locked/dir", os.O_RDONLY | os.O_DIRECTORY)
os.close(file)
for call in [os.close, os.fstat, os.fsync, lambda n: os.read(n, 1), lambda n: os.write(n, b"x"),
             lambda n: os.pwrite(n, b"x", 0), lambda n: os.ftruncate(n, 0), lambda n: os.lseek(n, 0, 0), os.utime]:
    refused("EBADF", call, file)

# A number that is given again stands for the new file only: an object kept of the old one fails or
# uses the new one, and `/f` stays as it was.
stale = open("/f", "rb", buffering=0)
os.close(stale.fileno())
again = os.open("/g", os.O_RDONLY)
harmless(stale.fileno(), int, again)
harmless(b"another", stale.read)
refused("EBADF", os.write, again, b"x")
refused("UnsupportedOperation", stale.write, b"x")
os.close(again)
refused("EBADF", stale.close)

# Directories as files, files as directories.
refused("EISDIR EBADF", os.read, directory, 1)
refused("EBADF EISDIR", os.write, directory, b"x")
refused("EBADF EISDIR EINVAL", os.ftruncate, directory, 0)
refused("EBADF EISDIR ENOTSUP", os.pwrite, directory, b"x", 0)
refused("EISDIR", open, "/locked/dir")
refused("EISDIR", open, "/locked/dir", "w")
file = os.open("/f", os.O_RDONLY)
refused("ENOTDIR", os.open, "x", os.O_RDONLY, dir_fd=file)
refused("ENOTDIR", os.mkdir, "x", dir_fd=file)
refused("ENOTDIR", os.open, "/f", os.O_RDONLY | os.O_DIRECTORY)
refused("ENOTDIR", os.listdir, "/f")
refused("EINVAL", os.open, "/new", os.O_CREAT | os.O_DIRECTORY)

# There is no way to a second number.
for call in [os.dup, lambda n: os.dup2(n, 9), lambda n: os.fdopen(os.dup(n))]:
    refused("ENOTSUP AttributeError ENOSYS", call, file)

# An unlinked file lives by its descriptor alone, and cannot get a name again.
alive = os.open("/gone", os.O_RDWR | os.O_CREAT)
os.unlink("/gone")
os.write(alive, b"alive")
refused("ENOENT", os.link, "/gone", "/back")
for path in [f"/proc/self/fd/{alive}", f"/dev/fd/{alive}"]:
    refused("ENOENT", os.link, path, "/back")
harmless(0, lambda: os.fstat(alive).st_nlink)
harmless(b"alive", os.pread, alive, 100, 0)
os.close(alive)

# A removed directory takes nothing any more.
os.mkdir("/removed")
removed = os.open("/removed", os.O_RDONLY | os.O_DIRECTORY)
os.rmdir("/removed")
refused("ENOENT", os.open, "x", os.O_WRONLY | os.O_CREAT, dir_fd=removed)
refused("ENOENT", os.mkdir, "x", dir_fd=removed)
refused("ENOENT", os.symlink, "x", "y", dir_fd=removed)
refused("ENOENT EXDEV", os.rename, "f", "x", dst_dir_fd=removed)
refused("ENOENT", os.unlink, "x", dir_fd=removed)
refused("EPERM", os.open, "../f", os.O_RDONLY, dir_fd=removed)

# Standard streams are no files and no directories.
for number in [0, 1, 2]:
    refused("EINVAL ENOTDIR EBADF ENOTSUP", os.open, "f", os.O_RDONLY, dir_fd=number)
    refused("EINVAL EBADF ENOTSUP ESPIPE", os.ftruncate, number, 0)
refused("EBADF EINVAL ENOTSUP", os.write, 0, b"x")

# Without the preopened directory there are no files.
is_whole("/locked")
harmless(b"content", read, "/f")
os.closerange(3, 1000)
for call in [os.stat, open, os.listdir, os.mkdir, os.unlink]:
    refused("EBADF ENOENT ENOTCAPABLE", call, "/f")
