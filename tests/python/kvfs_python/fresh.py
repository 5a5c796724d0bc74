"""Gives each run a fresh start, though all runs start from one memory image made at build time."""

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

# A library may be mounted at these paths. Sources of the standard library found there serve
# tracebacks too.
LIBRARY = ["/python", "/python/site-packages"]


def forget_build():
    """Build time: forgets the build's state, and hides the image from the garbage collector."""
    os.environ.clear()  # the runtime sets the run's variables before `run`
    sys.path[:] = LIBRARY
    sys.path_importer_cache.clear()
    linecache.clearcache()
    gc.collect()
    gc.freeze()


def start():
    """Run time: fresh standard streams, new randomness, the run's own search path."""
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
    """Replaces the image's own streams, which are unbuffered and do not know the run's terminal."""
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
    # Streams opened by number do not know their names.
    for stream, name in ((stdin, "<stdin>"), (sys.stdout, "<stdout>"), (sys.stderr, "<stderr>")):
        raw = getattr(stream.buffer, "raw", stream.buffer)
        raw.name = name


def reseed():
    """Replaces random state drawn at build time, which every run would repeat.

    The seed of `hash(str)` stays: the image's dictionaries are laid out by it.
    """
    random.seed()
    tempfile._name_sequence = None
    tempfile.tempdir = None
    uuid._node = None
    uuid._last_timestamp = None
    process = sys.modules.get("multiprocessing.process")
    if process:
        process.current_process().authkey = os.urandom(32)
