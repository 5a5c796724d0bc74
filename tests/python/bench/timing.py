"""Stands in front of each script of this directory: the sizes, and what prints a line."""

import os
import sys
import time

SIZES = sys.argv[1:]


def measure(name, count, loop):
    """Times a loop: one line of its name, tab, operations, tab, nanoseconds."""
    start = time.perf_counter_ns()
    try:
        result = loop()
    except Exception as error:
        # The file system of others may lack an operation: the line says so, and the next one follows.
        if "KVFS_BENCH_GO_ON" not in os.environ:
            raise
        print(name, repr(error), sep=": ", file=sys.stderr)
        print(name, "unsupported", sep="\t", flush=True)
        return None
    print(name, count, time.perf_counter_ns() - start, sep="\t", flush=True)
    return result


