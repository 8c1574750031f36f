"""An MCP server without any code for API keys.

The gate in front of it lets only key holders through, and states who calls in headers. Only the gate may reach this server.
"""

import os

from mcp.server.mcpserver import Context, MCPServer

server = MCPServer("reports")


@server.tool()
def whoami(context: Context) -> str:
    """Who holds the key that this client sends."""
    return context.headers["x-keygate-subject"]


@server.tool()
async def report(months: int, context: Context) -> str:
    """Adds up the sales of some months; tells its progress on the way."""
    for month in range(1, months + 1):
        await context.report_progress(month, months, f"month {month}")
    return f"{months * 100} EUR"


if __name__ == "__main__":
    server.run(transport="streamable-http", port=int(os.environ.get("PORT", "8000")))
