"""A file server over http in Python, built with componentize-py: `handle` is called once for each request.

`PUT /path` stores the body there and answers with its size, `GET /path` returns a file, `DELETE /path` removes
it. `GET /` lists names and sizes, and says how many requests this instance has answered. `POST /sum` adds a
number to an sqlite3 table and answers with the sum.
"""

import errno
import os
import sqlite3

from componentize_py_types import Err, Ok
from wit_world.imports.streams import StreamError_Closed
from wit_world.imports.types import (
    Fields,
    IncomingRequest,
    Method_Delete,
    Method_Get,
    Method_Post,
    Method_Put,
    OutgoingBody,
    OutgoingResponse,
    ResponseOutparam,
)

PIECE_BYTES = 64 << 10
ERRORS = {errno.ENOENT: (404, "no-entry"), errno.EISDIR: (500, "is-directory"), errno.EROFS: (500, "read-only")}

requests = 0


class IncomingHandler:
    """The export `wasi:http/incoming-handler`."""

    def handle(self, request: IncomingRequest, response_out: ResponseOutparam) -> None:
        global requests
        requests += 1
        try:
            status, body = respond(request)
        except OSError as error:
            status, name = ERRORS.get(error.errno, (500, error.strerror))
            body = [f"{name}\n".encode()]
        response = OutgoingResponse(Fields())
        response.set_status_code(status)
        to = response.body()
        ResponseOutparam.set(response_out, Ok(response))
        with to.write() as stream:
            for piece in body:
                for at in range(0, len(piece), 4096):
                    stream.blocking_write_and_flush(piece[at : at + 4096])
        OutgoingBody.finish(to, None)


def respond(request):
    """Carries out the request; returns the status and the pieces of the body."""
    path = "/" + (request.path_with_query() or "").lstrip("/")
    match request.method():
        case Method_Get() if path == "/":
            lines = [f"{name} {os.stat('/' + name).st_size}\n" for name in sorted(os.listdir("/"))]
            return 200, ["".join([*lines, f"requests: {requests}\n"]).encode()]
        case Method_Get():
            return 200, pieces(open(path, "rb"))
        case Method_Put():
            # Neither closed nor synced: the end of the call makes it last.
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            size = 0
            for piece in body_of(request):
                while piece:
                    count = os.write(file, piece)
                    size, piece = size + count, piece[count:]
            return 201, [f"{size} bytes\n".encode()]
        case Method_Delete():
            os.unlink(path)
            return 200, [b"removed\n"]
        case Method_Post() if path == "/sum":
            with sqlite3.connect("/sums") as db:
                db.execute("create table if not exists sums(x)")
                db.execute("insert into sums values(?)", (int(b"".join(body_of(request))),))
                (total,) = db.execute("select sum(x) from sums").fetchone()
            db.close()
            return 200, [f"{total}\n".encode()]
        case _:
            return 405, [b"no such method\n"]


def pieces(file):
    with file:
        while piece := file.read(PIECE_BYTES):
            yield piece


def body_of(request):
    with request.consume() as body, body.stream() as stream:
        while True:
            try:
                yield stream.blocking_read(PIECE_BYTES)
            except Err as error:
                if isinstance(error.value, StreamError_Closed):
                    return
                raise OSError(errno.EIO, "the request broke off") from None
