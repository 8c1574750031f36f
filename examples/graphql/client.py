"""Queries the GraphQL server behind the gate; with a title as argument it adds a book.

The key is in the environment variable API_KEY; API_URL is the URL of the gate (default http://127.0.0.1:8787).
"""

import os
import sys

from gql import Client, gql
from gql.transport.exceptions import TransportQueryError, TransportServerError
from gql.transport.httpx import HTTPXTransport

transport = HTTPXTransport(
    url=os.environ.get("API_URL", "http://127.0.0.1:8787") + "/graphql",
    headers={"Authorization": f"Bearer {os.environ['API_KEY']}"},
)
client = Client(transport=transport)

if len(sys.argv) > 1:
    request = gql("mutation ($title: String!) { addBook(title: $title) }")
    request.variable_values = {"title": sys.argv[1]}
else:
    request = gql("{ books caller }")

try:
    print(client.execute(request))
except TransportQueryError as error:
    sys.exit(f"client.py: the server refused: {error.errors[0]['message']}")
except TransportServerError as error:
    sys.exit(f"client.py: the gate refused: {error}")
