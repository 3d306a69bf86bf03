"""What the Python test servers do on demand: a fixed amount of work, and planted memory.

`MCPGATE_TEST_SLOW` (a factor, 1 when absent) multiplies the work of the tool `work` alone.
`MCPGATE_TEST_BLOAT_MB` (megabytes, none when absent) is kept, touched, from the start on.
"""

import os
import time

WORK_NS = 3_000_000
SLOW = float(os.environ.get("MCPGATE_TEST_SLOW", "1"))
BLOAT = b"\x01" * (int(os.environ.get("MCPGATE_TEST_BLOAT_MB", "0")) * 1_000_000)


def work() -> None:
    """Uses 3 ms of CPU time, times the factor.

    The thread's CPU clock, not the wall clock, so that a busy machine makes the call longer but
    never the work less.
    """
    end = time.thread_time_ns() + int(WORK_NS * SLOW)
    while time.thread_time_ns() < end:
        pass


def transport_and_port(argv: list[str]) -> tuple[str, int]:
    """Reads `stdio` or `http PORT` from a command line."""
    match argv[1:]:
        case ["stdio"]:
            return "stdio", 0
        case ["http", port]:
            return "streamable-http", int(port)
        case _:
            raise SystemExit(f"usage: {argv[0]} stdio | http PORT")
