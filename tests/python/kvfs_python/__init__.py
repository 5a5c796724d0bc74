"""CPython as a WASI command: the equivalent of `python` on other systems, built with componentize-py.

Componentize-py imports this package, and keeps the interpreter's memory in the component. So whatever
happens at import happens once, at build time: `preload` imports the standard library, which is not there
at run time. `Run.run` starts the program.
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
