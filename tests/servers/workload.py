"""What the Python test servers do on demand: a wait, and planted memory.

`MCPGATE_TEST_SLOW` (a factor, 1 when absent) multiplies the wait of the tool `work` alone.
`MCPGATE_TEST_BLOAT_MB` (megabytes, none when absent) is kept, touched, from the start on.
"""

import os
import time

WAIT_S = 0.005
SLOW = float(os.environ.get("MCPGATE_TEST_SLOW", "1"))
BLOAT = b"\x01" * (int(os.environ.get("MCPGATE_TEST_BLOAT_MB", "0")) * 1_000_000)


def work() -> None:
    """Waits for 5 ms, times the factor, as for a database.

    How fast a machine works changes from one second to the next, how long it waits hardly does,
    and what was planted has to be beyond doubt.
    """
    time.sleep(WAIT_S * SLOW)


def transport_and_port(argv: list[str]) -> tuple[str, int]:
    """Reads `stdio`, `http PORT` or `sse PORT` from a command line."""
    match argv[1:]:
        case ["stdio"]:
            return "stdio", 0
        case ["http", port]:
            return "streamable-http", int(port)
        case ["sse", port]:
            return "sse", int(port)
        case _:
            raise SystemExit(f"usage: {argv[0]} stdio | http PORT | sse PORT")
