"""CPython as a WASI command whose programs may control the volumes that they mount: `import kvfs_control`.

The functions are those of the interface `kvfs:volume/control`. They raise `VolumeError`.
"""

from componentize_py_types import Err
from kvfs_python import Run
from wit_world.imports import control

__all__ = ["Run", "VolumeError", "commit", "diff", "entries", "fork", "remove", "restore", "snapshot"]


class VolumeError(Exception):
    """Nothing was done; the text says why, by the name of the case in the interface."""


def _call(function, *arguments):
    try:
        return function(*arguments)
    except Err as error:
        case = type(error.value).__name__.removeprefix("Error_")
        text = getattr(error.value, "value", None)
        raise VolumeError(f"{case}: {text}" if text else case) from None


def commit(mount="/"):
    _call(control.commit, mount)


def snapshot(name, mount="/"):
    _call(control.snapshot, mount, name)


def fork(name, mount="/"):
    _call(control.fork, mount, name)


def restore(name, mount="/"):
    _call(control.restore, mount, name)


def remove(name, mount="/"):
    _call(control.remove, mount, name)


def entries(mount="/"):
    """Returns pairs of a name and whether it takes changes."""
    return [(entry.name, entry.writable) for entry in _call(control.entries, mount)]


def diff(since, mount="/"):
    """Returns what changed, as pairs: `Added`, `Removed`, `Modified` or `Renamed`, and the path."""
    found = []
    while True:
        page = _call(control.diff, mount, since, len(found))
        for difference in page.differences:
            found.append((type(difference.change).__name__.removeprefix("Change_"), difference.path))
        if not page.more:
            return found
