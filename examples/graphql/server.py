"""A GraphQL server without any code for API keys.

The gate in front of it lets only key holders through, and states who calls in headers. Only the gate may reach this server.
"""

from ariadne import MutationType, QueryType, gql, make_executable_schema
from ariadne.asgi import GraphQL
from graphql import GraphQLError

BOOKS = ["Middlemarch"]

query = QueryType()
mutation = MutationType()


@query.field("books")
def books(_, info):
    return BOOKS


@query.field("caller")
def caller(_, info):
    return info.context["request"].headers["X-Keygate-Subject"]


@mutation.field("addBook")
def add_book(_, info, title):
    require_scope(info, "books:write")
    BOOKS.append(title)
    return BOOKS


def require_scope(info, scope):
    """Refuses an operation for which the caller's key lacks a scope. The gate cannot: it does not read what a request asks for."""
    if scope not in info.context["request"].headers.get("X-Keygate-Scopes", "").split():
        raise GraphQLError(f"the key lacks the scope {scope}", extensions={"code": "FORBIDDEN"})


schema = make_executable_schema(
    gql("""
        type Query { books: [String!]!, caller: String! }
        type Mutation { addBook(title: String!): [String!]! }
    """),
    query,
    mutation,
)
app = GraphQL(schema)
