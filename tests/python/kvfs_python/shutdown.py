"""The end of a program, in CPython's order: threads, atexit, objects, streams, exit code."""

import atexit
import gc
import io
import os
import sys
import threading

from wit_world.imports import exit as wasi_exit


def exit_now(code):
    """Replaces `os._exit`: ends at once with the exact code. The C library's own knows only 0 and 1."""
    wasi_exit.exit_with_code(int(code) & 0xFF)


os._exit = exit_now


def leave(code):
    """Ends the program like CPython's finalisation; returns only if `code` is 0."""
    threading._shutdown()
    atexit._run_exitfuncs()
    if not flush_standard_streams():
        code = 120
    drop_objects()
    if not flush_standard_streams():
        code = 120
    if code:
        exit_now(code)


def drop_objects():
    """Drops the program's objects, so that files left open are flushed and finalisers run.

    Names with one underscore go first, then the rest: the order that CPython documents for modules.
    """
    module = sys.modules.get("__main__")
    if module:
        names = vars(module)
        for name in [name for name in names if name.startswith("_") and not name.startswith("__")]:
            names[name] = None
        for name in [name for name in names if not name.startswith("__")]:
            names[name] = None
    gc.collect()
    standard = {sys.stdin, sys.stdout, sys.stderr, sys.__stdin__, sys.__stdout__, sys.__stderr__}
    # Still reachable from other modules. CPython drops those modules; here flushing their files is
    # enough.
    for kind in (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom):
        for stream in gc.get_objects():
            if type(stream) is kind and stream not in standard and not stream.closed:
                try:
                    stream.flush()
                except (OSError, ValueError) as error:
                    print(f"Exception ignored while flushing {stream!r}: {error}", file=sys.stderr)


def flush_standard_streams():
    """Flushes standard output and error; returns `False` if bytes of the output were lost."""
    good = True
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except (OSError, ValueError) as error:
            if stream is sys.stdout:
                good = False
                try:
                    print(f"Exception ignored while flushing sys.stdout: {error}", file=sys.stderr)
                except (OSError, ValueError):
                    pass
    return good
