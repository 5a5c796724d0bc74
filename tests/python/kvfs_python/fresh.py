"""Makes each run a run of its own, though all start from one memory image made at build time."""

import gc
import importlib
import io
import linecache
import logging
import os
import random
import sys
import tempfile
import time
import uuid

# Where a library may be mounted; sources of the standard library, if they are there, serve tracebacks too.
LIBRARY = ["/python", "/python/site-packages"]


def forget_build():
    """Build time: removes what only the build knew, and puts the image out of the garbage collector's sight."""
    os.environ.clear()  # the run's variables are set by the runtime before `run`
    sys.path[:] = LIBRARY
    sys.path_importer_cache.clear()
    linecache.clearcache()
    gc.collect()
    gc.freeze()


def start():
    """Run time: standard streams as they are now, new randomness, the run's own search path."""
    open_standard_streams()
    sys.orig_argv[:] = sys.argv
    search_path()
    sys.path_importer_cache.clear()
    importlib.invalidate_caches()
    if os.environ.get("PYTHONDONTWRITEBYTECODE"):
        sys.dont_write_bytecode = True
    reseed()
    logging._startTime = time.time_ns()


def search_path():
    extra = [entry for entry in os.environ.get("PYTHONPATH", "").split(":") if entry]
    sys.path[:] = extra + LIBRARY


def open_standard_streams():
    """The image's own streams are unbuffered and know nothing of the run's terminal."""
    encoding, _, errors = os.environ.get("PYTHONIOENCODING", "").partition(":")
    encoding = encoding or "utf-8"
    unbuffered = bool(os.environ.get("PYTHONUNBUFFERED"))

    def output(fd, errors, line_buffering):
        raw = io.FileIO(fd, "w", closefd=False)
        binary = raw if unbuffered else io.BufferedWriter(raw)
        stream = io.TextIOWrapper(
            binary,
            encoding,
            errors,
            "\n",
            line_buffering=line_buffering or raw.isatty(),
            write_through=unbuffered,
        )
        stream.mode = "w"
        return stream

    stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, "r", closefd=False)), encoding, errors or "strict")
    stdin.mode = "r"
    sys.stdin = sys.__stdin__ = stdin
    sys.stdout = sys.__stdout__ = output(1, errors or "strict", False)
    sys.stderr = sys.__stderr__ = output(2, "backslashreplace", True)
    # Streams know their number, not their name, when opened so.
    for stream, name in ((stdin, "<stdin>"), (sys.stdout, "<stdout>"), (sys.stderr, "<stderr>")):
        raw = getattr(stream.buffer, "raw", stream.buffer)
        raw.name = name


def reseed():
    """Replaces what drew from the system's randomness at build time and would repeat in every run.

    The seed of `hash(str)` cannot be replaced: dictionaries of the image are laid out by it.
    """
    random.seed()
    tempfile._name_sequence = None
    tempfile.tempdir = None
    uuid._node = None
    uuid._last_timestamp = None
    process = sys.modules.get("multiprocessing.process")
    if process:
        process.current_process().authkey = os.urandom(32)
