"""Lists the tools of the MCP server behind the gate and calls both.

The key is in the environment variable API_KEY; API_URL is the URL of the gate (default http://127.0.0.1:8787). With the argument
`legacy` it opens a session, as clients did before the protocol of 2026-07-28.
"""

import asyncio
import os
import sys

import httpx2
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

URL = os.environ.get("API_URL", "http://127.0.0.1:8787") + "/mcp"


async def explain_refusal(response):
    """Prints what the gate says; MCPError has no more than "Server returned an error response"."""
    if response.headers.get("content-type") == "application/problem+json":
        print(f"client.py: {response.status_code} {(await response.aread()).decode()}", file=sys.stderr)


async def show_progress(progress, total, message):
    print(f"{progress:.0f} of {total:.0f}: {message}")


async def main(mode):
    headers = {"Authorization": f"Bearer {os.environ['API_KEY']}"}
    hooks = {"response": [explain_refusal]}
    async with httpx2.AsyncClient(headers=headers, event_hooks=hooks, timeout=30) as http:
        async with Client(streamable_http_client(URL, http_client=http), mode=mode) as client:
            tools = await client.list_tools()
            print("tools:", *(tool.name for tool in tools.tools))
            print("caller:", (await client.call_tool("whoami")).content[0].text)
            result = await client.call_tool("report", {"months": 3}, progress_callback=show_progress)
            print("result:", result.content[0].text)


try:
    asyncio.run(main("legacy" if "legacy" in sys.argv else "auto"))
except* MCPError:
    sys.exit(1)
