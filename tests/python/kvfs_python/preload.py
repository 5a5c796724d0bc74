"""Imports the standard library at build time, so that a run finds its modules ready."""

import contextlib
import importlib
import io
import sys
import warnings

from .library import library

# Imported for an effect, which belongs to the run; at run time they are loaded from memory.
EFFECTS = {"__hello__", "__phello__", "antigravity", "this"}


def import_standard_library():
    """Imports all modules it can. Modules for other systems (`winreg`, `termios`, …) fail, as anywhere."""
    library.read()
    names = {*library.files, *sys.builtin_module_names}
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for name in sorted(names):
            first, _, last = name.rpartition(".")
            if last == "__main__" or name in EFFECTS or first in EFFECTS:
                continue
            try:
                importlib.import_module(name)
            except (ImportError, AttributeError, OSError, KeyError):
                # The modules that it imported before it failed stay; the module itself must stay
                # unknown.
                sys.modules.pop(name, None)
    library.adopt()
    # Last, so that a file system with a library comes first.
    sys.meta_path.append(library)
