"""asyncio on hosts without a network.

An event loop wakes itself from other threads and from signal handlers through a pair of sockets. Here are
neither threads nor signals, so a loop that cannot make sockets does without the pair.
"""

from asyncio import selector_events

Loop = selector_events.BaseSelectorEventLoop
make_self_pipe = Loop._make_self_pipe
close_self_pipe = Loop._close_self_pipe


def make_if_allowed(loop):
    try:
        make_self_pipe(loop)
    except OSError:
        loop._ssock = loop._csock = None


def close_if_made(loop):
    if loop._ssock is not None:
        close_self_pipe(loop)


Loop._make_self_pipe = make_if_allowed
Loop._close_self_pipe = close_if_made
