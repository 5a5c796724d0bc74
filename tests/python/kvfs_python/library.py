"""The standard library's sources in memory, for modules that were not or cannot be imported at build time.

`python -m json.tool` runs a module a second time, `import this` runs one for its effect, and tracebacks and
`inspect.getsource` show source lines: all of them ask a module's loader.
"""

import importlib.machinery
import importlib.util
import os
import sys
import zlib

ROOT = "/python"

# Left out because they are useless here: tools with windows, and installers.
SKIPPED = {"ensurepip", "idlelib", "tkinter", "turtle", "turtledemo"}


class Library:
    """Finds and loads the modules under `/python`."""

    def __init__(self):
        self.files = {}  # dotted name -> (file, whether a package, compressed source)

    def read(self):
        """Build time: reads all sources."""
        for directory, subdirectories, names in os.walk(ROOT):
            subdirectories[:] = [name for name in subdirectories if self.wanted(name)]
            package = os.path.relpath(directory, ROOT).replace("/", ".")
            for name in names:
                stem, extension = os.path.splitext(name)
                if extension == ".py" and self.wanted(stem):
                    self.add(package, stem, os.path.join(directory, name))

    def wanted(self, name):
        return name.isidentifier() and name not in SKIPPED and name != "__pycache__"

    def add(self, package, stem, file):
        parts = [part for part in (package, stem) if part not in (".", "__init__")]
        with open(file, "rb") as source:
            self.files[".".join(parts)] = (file, stem == "__init__", zlib.compress(source.read(), 9))

    def find_spec(self, name, path=None, target=None):
        if name not in self.files:
            return None
        file, is_package, _ = self.files[name]
        spec = importlib.machinery.ModuleSpec(name, self, origin=file, is_package=is_package)
        spec.has_location = True
        if is_package:
            spec.submodule_search_locations.append(os.path.dirname(file))
        return spec

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        exec(self.get_code(module.__name__), vars(module))

    def get_code(self, name):
        file, _, source = self.entry(name)
        return compile(zlib.decompress(source), file, "exec", dont_inherit=True)

    def get_source(self, name):
        return importlib.util.decode_source(zlib.decompress(self.entry(name)[2]))

    def get_filename(self, name):
        return self.entry(name)[0]

    def is_package(self, name):
        return self.entry(name)[1]

    def entry(self, name):
        try:
            return self.files[name]
        except KeyError:
            raise ImportError(f"not in the standard library: {name!r}", name=name) from None

    def adopt(self):
        """Build time: becomes the loader of modules whose files will be missing at run time."""
        for name in self.files:
            module = sys.modules.get(name)
            if module is not None and module.__spec__ is not None:
                module.__spec__.loader = module.__loader__ = self
                module.__spec__.cached = module.__cached__ = None


library = Library()
