"""What the official MCP client says of a server behind the gate if it has no key; with `oauth`, if it tries to sign in then."""

import asyncio
import os
import sys

import httpx2
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata

URL = os.environ["API_URL"] + "/mcp"


class Storage:
    async def get_tokens(self):
        return None

    async def get_client_info(self):
        return None


async def never(*_):
    raise AssertionError("the client was sent to sign in")


async def main():
    metadata = OAuthClientMetadata(client_name="test", redirect_uris=["http://127.0.0.1:3000/callback"])
    auth = OAuthClientProvider(URL, metadata, Storage(), redirect_handler=never, callback_handler=never)
    async with httpx2.AsyncClient(auth=auth if "oauth" in sys.argv else None, timeout=30) as http:
        async with Client(streamable_http_client(URL, http_client=http)):
            pass


def leaves(error):
    for inner in getattr(error, "exceptions", [error]):
        yield from [inner] if inner is error else leaves(inner)


try:
    asyncio.run(main())
except BaseException as error:
    for leaf in leaves(error):
        print(f"{type(leaf).__name__}: {leaf}")
