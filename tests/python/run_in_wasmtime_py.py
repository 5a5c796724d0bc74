"""Runs a component with wasmtime's package for Python: run_in_wasmtime_py.py COMPONENT DIR ARGS...

The component gets the directory as /kvfs. Nothing here knows of files or stores.
"""

import pathlib
import sys

from wasmtime import Config, Engine, ExitTrap, Store, WasiConfig, component

path, directory, *arguments = sys.argv[1:]
engine = Engine(Config())
# Compiled once for all runs.
compiled = pathlib.Path(path).with_suffix(".py-compiled")
if compiled.exists():
    program = component.Component.deserialize_file(engine, str(compiled))
else:
    program = component.Component(engine, pathlib.Path(path).read_bytes())
    compiled.write_bytes(program.serialize())

linker = component.Linker(engine)
linker.add_wasip2()
store = Store(engine)
wasi = WasiConfig()
wasi.argv = [path, *arguments]
wasi.inherit_stdout()
wasi.inherit_stderr()
wasi.preopen_dir(directory, "/kvfs")
store.set_wasi(wasi)

instance = linker.instantiate(store, program)
versions = (f"wasi:cli/run@0.2.{patch}" for patch in range(32))
exported = next(index for name in versions if (index := instance.get_export_index(store, name)) is not None)
run = instance.get_func(store, instance.get_export_index(store, "run", exported))
try:
    run(store)
except ExitTrap as exit:
    sys.exit(exit.code)
