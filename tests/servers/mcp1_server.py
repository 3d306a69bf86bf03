"""A server on the official SDK 1.x (`initialize` era only): `mcp1_server.py stdio | http PORT`."""

import sys

from mcp.server.fastmcp import FastMCP
from mcp.types import ToolAnnotations

import workload

transport, port = workload.transport_and_port(sys.argv)
mcp = FastMCP("mcp1-test-server", host="127.0.0.1", port=port)
read_only = ToolAnnotations(readOnlyHint=True)


@mcp.tool(annotations=read_only)
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


@mcp.tool(annotations=read_only)
def work(label: str) -> str:
    """Waits for a fixed time, then says the label back."""
    workload.work()
    return f"worked: {label}"


if __name__ == "__main__":
    mcp.run(transport)
