"""A server on the official SDK 2.x (both protocol eras): `mcp2_server.py stdio | http PORT`."""

import sys

from mcp.server.mcpserver import MCPServer
from mcp.types import ToolAnnotations

import workload

transport, port = workload.transport_and_port(sys.argv)
mcp = MCPServer("mcp2-test-server")


@mcp.tool(annotations=ToolAnnotations(readOnlyHint=True))
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


@mcp.tool(annotations=ToolAnnotations(readOnlyHint=True))
def work(label: str) -> str:
    """Waits for a fixed time, then says the label back."""
    workload.work()
    return f"worked: {label}"


if __name__ == "__main__":
    if transport == "stdio":
        mcp.run(transport)
    else:
        mcp.run(transport, host="127.0.0.1", port=port)
