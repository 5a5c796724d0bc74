"""Imports the standard library at build time.

The sources lie in `/python` while the interpreter is pre-initialised. What is imported then stays in memory;
anything else does not exist at run time, unless a file system brings it.
"""

import contextlib
import importlib
import io
import os
import sys
import warnings

ROOT = "/python"

# Left out: demonstrations, tools with a window, installers without use here, and modules whose import is a joke.
SKIPPED = {
    "__hello__",
    "__phello__",
    "antigravity",
    "ensurepip",
    "idlelib",
    "this",
    "tkinter",
    "turtle",
    "turtledemo",
}


def names():
    """Yields the dotted name of every module of the standard library."""
    yield from sys.builtin_module_names
    for directory, subdirectories, files in os.walk(ROOT):
        package = os.path.relpath(directory, ROOT).replace("/", ".")
        if package == ".":
            subdirectories[:] = [name for name in subdirectories if name not in SKIPPED]
        subdirectories[:] = [name for name in subdirectories if name.isidentifier() and name != "__pycache__"]
        for file in files:
            stem, extension = os.path.splitext(file)
            if extension != ".py" or stem == "__main__":
                continue  # a __main__ runs a program when it is imported
            if package == ".":
                if stem not in SKIPPED:
                    yield stem
            elif stem == "__init__":
                yield package
            else:
                yield f"{package}.{stem}"


def import_standard_library():
    """Imports all that can be imported. Modules for other systems (`winreg`, `termios`, …) fail, as anywhere."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for name in sorted(names()):
            try:
                importlib.import_module(name)
            except (ImportError, AttributeError, OSError, KeyError):
                # What it had imported by then is good on its own; the name itself must stay unknown.
                sys.modules.pop(name, None)
