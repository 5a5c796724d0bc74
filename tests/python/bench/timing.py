"""Stands in front of each script of this directory: the sizes, and what prints a line."""

import sys
import time

SIZES = sys.argv[1:]


def measure(name, count, loop):
    """Times a loop: one line of its name, tab, operations, tab, nanoseconds."""
    start = time.perf_counter_ns()
    result = loop()
    print(name, count, time.perf_counter_ns() - start, sep="\t", flush=True)
    return result


