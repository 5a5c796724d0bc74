# A wheel of so many modules that this script makes itself: unpacked, compiled and imported, and
# imported straight from the archive.

import compileall
import importlib
import os
import sys
import zipfile

modules = int(SIZES[0])
PACKAGES = 10


def source(number):
    # About 4 KB with a class, functions and a table, as modules have.
    table = ", ".join(f"{key!r}: {key * number}" for key in range(100))
    functions = "\n\n".join(
        f"def function_{index}(value, scale={index}):\n"
        f'    """Scales a value by {index} and adds {number}."""\n'
        f"    if value < {index}:\n        return scale * value + {number}\n"
        f"    return [scale + item for item in range(value % {index + 2})]"
        for index in range(10)
    )
    return (
        f'"""Module {number}."""\n\nimport os\n\nNUMBER = {number}\nTABLE = {{{table}}}\n\n\n{functions}\n\n\n'
        f"class Thing:\n    def __init__(self):\n        self.path = os.path.join('things', str(NUMBER))\n"
    )


def name(number):
    return f"wheel_{number % PACKAGES}/module_{number}.py"


def make():
    with zipfile.ZipFile("/bench.whl", "w", zipfile.ZIP_DEFLATED) as wheel:
        for package in range(PACKAGES):
            wheel.writestr(f"wheel_{package}/__init__.py", "")
        for number in range(modules):
            wheel.writestr(name(number), source(number))


def unzip():
    with zipfile.ZipFile("/bench.whl") as wheel:
        wheel.extractall("/site")


def import_all():
    for number in range(modules):
        module = importlib.import_module(name(number).removesuffix(".py").replace("/", "."))
        assert module.NUMBER == number


def forget():
    for known in [known for known in sys.modules if known.startswith("wheel_")]:
        del sys.modules[known]
    sys.path_importer_cache.clear()
    importlib.invalidate_caches()


def import_from(path, title):
    forget()
    sys.path.insert(0, path)
    measure(title, modules, import_all)
    sys.path.remove(path)


sys.dont_write_bytecode = False
measure("make the wheel, per module", modules, make)
measure("unzip, per module", modules, unzip)
import_from("/site", "first import, compiles and keeps, per module")
assert os.path.isdir("/site/wheel_0/__pycache__")
import_from("/site", "import again, per module")
import_from("/bench.whl", "import from the archive, per module")
measure("compileall, per module", modules, lambda: compileall.compile_dir("/site", quiet=2, force=True))
