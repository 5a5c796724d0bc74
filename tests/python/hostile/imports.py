# Tries to leave Python: ctypes, mmap, fcntl, extension modules from files, processes, sockets, name
# resolution, sqlite's extensions, and the functions by which componentize-py's runtime calls
# imports. Must: what is not there cannot be had, the network and processes are refused.

import importlib
import importlib.machinery
import socket
import sqlite3
import subprocess
import sys

for name in ["ctypes", "_ctypes", "mmap", "fcntl", "_posixsubprocess", "_multiprocessing", "resource", "termios",
             "_testcapi", "_testinternalcapi", "pty", "winreg", "msvcrt", "_ssl", "readline", "syslog", "pwd", "grp"]:
    refused("ModuleNotFoundError ImportError", importlib.import_module, name)

# A module in machine code, or in wasm, is not loaded from a file.
for name, content in [("native", b"\x7fELF" + bytes(200)), ("wasm", b"\0asm\1\0\0\0")]:
    for ending in [".so", ".cpython-314-wasm32-wasi.so", ".abi3.so", ".wasm", ".dll"]:
        write(f"/{name}{ending}", content)
sys.path.insert(0, "/")
for name in ["native", "wasm"]:
    refused("ModuleNotFoundError ImportError", importlib.import_module, name)


def load(path):
    loader = importlib.machinery.ExtensionFileLoader("native", path)
    spec = importlib.machinery.ModuleSpec("native", loader, origin=path)
    return loader.create_module(spec)


refused("ImportError AttributeError NotImplementedError", load, "/native.so")

for call in ["fork", "forkpty", "posix_spawn", "execv", "execve", "system", "kill", "pipe", "mkfifo", "mknod",
             "chroot", "chmod_", "chown", "setuid", "setsid", "mount", "ptsname", "sendfile", "memfd_create", "dup2",
             "pidfd_open", "openpty", "getuid", "umask", "fchdir", "copy_file_range", "splice", "unshare", "setns"]:
    refused("AttributeError", lambda: getattr(os, call))
for call in [lambda: subprocess.run(["ls"]), lambda: os.popen("ls"), lambda: subprocess.Popen("ls", shell=True),
             lambda: os.execvp("ls", ["ls"])]:
    refused("ENOTSUP ENOSYS NameError AttributeError", call)

for family in [socket.AF_INET, socket.AF_INET6]:
    for kind in [socket.SOCK_STREAM, socket.SOCK_DGRAM]:
        refused("EACCES EAFNOSUPPORT ENOTSUP EPERM", lambda: socket.socket(family, kind).connect(("127.0.0.1", 80)))
        refused("EACCES EAFNOSUPPORT ENOTSUP EPERM", lambda: socket.socket(family, kind).bind(("127.0.0.1", 0)))
refused("gaierror EACCES", lambda: bool(socket.getaddrinfo("example.com", 80)))
for name in ["AF_UNIX", "AF_VSOCK", "AF_PACKET", "AF_NETLINK", "SOCK_RAW"]:
    refused("AttributeError EACCES EAFNOSUPPORT EINVAL ENOTSUP EPROTONOSUPPORT EPROTOTYPE OSError",
            lambda: socket.socket(getattr(socket, name), socket.SOCK_STREAM).bind("/socket"))

database = sqlite3.connect(":memory:")
refused("AttributeError", lambda: database.enable_load_extension(True))
for statement in ["select load_extension('/native.so')", "select readfile('/locked/kept')",
                  "select writefile('/x', 'y')", "attach '../../outside/secret' as o",
                  "attach 'file:/locked/kept?mode=rwc' as o; create table o.t (x)"]:
    refused("OperationalError DatabaseError NotSupportedError", database.executescript, statement)
