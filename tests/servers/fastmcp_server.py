"""A server on fastmcp (both protocol eras): `fastmcp_server.py stdio | http PORT | sse PORT`."""

import sys

from fastmcp import FastMCP

import workload

mcp = FastMCP("fastmcp-test-server")


@mcp.tool(annotations={"readOnlyHint": True})
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


@mcp.tool(annotations={"readOnlyHint": True})
def work(label: str) -> str:
    """Waits for a fixed time, then says the label back."""
    workload.work()
    return f"worked: {label}"


if __name__ == "__main__":
    transport, port = workload.transport_and_port(sys.argv)
    if transport == "stdio":
        mcp.run(transport, show_banner=False)
    else:
        mcp.run(transport, show_banner=False, host="127.0.0.1", port=port)
