# Holds open as much as it can get over many mounts at once, and makes all of them cache and keep
# waiting what they can. Must: the bound on descriptors is that of the instance, not of each mount;
# closing on one mount gives room on any other; the memory of the guest is enough for all.

import itertools

PATHS = ["/f", "/locked/kept", "/image/kept", "/over/kept", "/small/f", "/files/f"]
for path in PATHS:
    if path.endswith("/f"):
        write(path, b"kept")

held = []
for path in itertools.cycle(PATHS):
    error, file = outcome(os.open, path, os.O_RDONLY)
    if error:
        break
    held.append(file)
    assert len(held) <= 1 << 16, "no bound over all mounts"
attempts += 1
assert error == "ENOMEM" and len(held) > 60_000, (error, len(held))
for path in PATHS:
    refused("ENOMEM", os.open, path, os.O_RDONLY)
    refused("ENOMEM", os.open, path, os.O_RDWR | os.O_CREAT)
    refused("ENOMEM", os.open, os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
# Whoever closes one gives room to any other mount, for one.
for number, path in enumerate(PATHS * 10):
    os.close(held.pop(number * 7 % len(held)))
    held.append(os.open(path, os.O_RDONLY))
    refused("ENOMEM", os.open, PATHS[number % 5], os.O_RDONLY)
for file in held:
    os.close(file)
for path in PATHS:
    harmless(b"kept", read, path)

# Files on all mounts that are kept open with bytes that wait, more than may wait together.
held = []
for number in range(40):
    for path in ["/", "/over/"]:
        file = os.open(f"{path}dirty{number}", os.O_RDWR | os.O_CREAT)
        assert os.pwrite(file, bytes([number]) * 300_000, 0) == 300_000
        held.append((file, number, f"{path}dirty{number}"))
for file, number, path in held:
    harmless(bytes([number]) * 300_000, os.pread, file, 300_000, 0)
    os.close(file)
    os.unlink(path)
write("/synced")
file = os.open("/synced", os.O_RDWR)
os.fsync(file)
os.close(file)
