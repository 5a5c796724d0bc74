"""CPython as a WASI command: what `python` is on other systems, built with componentize-py.

This package is imported while the interpreter is pre-initialised, and its memory is then kept in the
component. So what happens at import happens once, at build time: `preload` imports the standard library,
which is not there at run time. `Run.run` is the program's start.
"""

from . import command, fresh, loop, preload
from .shutdown import leave

preload.import_standard_library()
fresh.forget_build()


class Run:
    """The export `wasi:cli/run`."""

    def run(self) -> None:
        fresh.start()
        leave(command.main())
