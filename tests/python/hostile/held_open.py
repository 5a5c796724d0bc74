# Holds open as much as it can get: files, directories, listings and streams, of volumes and of a
# directory of the host. Must: the number has a bound, far below the files that the host's process
# may have open where they are the host's; after closing, everything works as before.

write("/f", b"content")


def hold(opened, most):
    """Opens until it is refused, and returns how many were open."""
    global attempts
    attempts += 1
    held = []
    try:
        while len(held) <= most:
            held.append(opened())
    except OSError as error:
        assert error.errno == errno.ENOMEM, errno.errorcode[error.errno]
    count = len(held)
    assert count <= most, "no bound"
    for one in held:
        os.close(one) if isinstance(one, int) else one.close()
    return count


def listing(path):
    entries = os.scandir(path)
    next(entries)
    return entries


def reading(path):
    file = open(path, "rb", buffering=0)
    file.read(1)
    return file


def unlinked():
    file = os.open("/unlinked", os.O_RDWR | os.O_CREAT)
    os.unlink("/unlinked")
    return file


# A volume's, which cost the file system some memory.
assert hold(lambda: os.open("/f", os.O_RDONLY), 1 << 16) > 1000
assert hold(lambda: listing("/"), 1 << 16) > 1000
assert hold(unlinked, 1 << 16) > 1000
# The host's, of which its process has few.
for call in [lambda: os.open("/host/kept", os.O_RDONLY), lambda: os.open("/given/kept", os.O_RDONLY),
             lambda: os.open("/host", os.O_RDONLY | os.O_DIRECTORY), lambda: listing("/host"),
             lambda: os.open("/map/conf", os.O_RDONLY), lambda: reading("/host/kept"),
             lambda: open("/host/scratch/w", "wb", buffering=0)]:
    assert hold(call, 512) > 100
    is_whole("/host")
harmless(b"content", read, "/f")
