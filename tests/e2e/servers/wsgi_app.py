"""A WSGI application that answers with what it sees. gunicorn, uWSGI and waitress serve it.

Like all applications in this folder it has the resources `public`, `admin`, `closed` and `items`, at /public, /admin and /closed
with all below and at /api/items/<id>. An answer without a resource is a 404 or a redirect.
"""

import json


def application(environ, start_response):
    resource = resource_of(text(environ["PATH_INFO"]))
    body = json.dumps(report(environ, resource)).encode()
    start_response("200 OK" if resource else "404 Not Found", [("Content-Type", "application/json")])
    return [body]


def resource_of(path):
    match path.split("/"):
        case ["", "public" | "admin" | "closed" as name, *_]:
            return name
        case ["", "api", "items", item] if item:
            return "items"
    return None


def report(environ, resource, **seen):
    """What the application sees; `seen` is what its framework says in place of the server."""
    # Not read to the end: without a length some servers wait for more.
    length = int(environ.get("CONTENT_LENGTH") or 0)
    return {
        "resource": resource,
        "method": environ["REQUEST_METHOD"],
        "mount": text(environ.get("SCRIPT_NAME", "")),
        "path": text(environ["PATH_INFO"]),
        "query": environ.get("QUERY_STRING", ""),
        "user": environ.get("REMOTE_USER"),
        "subject": environ.get("HTTP_X_KEYGATE_SUBJECT"),
        "scheme": environ["wsgi.url_scheme"],
        "host": environ.get("HTTP_HOST"),
        "address": environ.get("REMOTE_ADDR"),
        "body": environ["wsgi.input"].read(length).decode("latin1"),
        "headers": sorted(name for name in environ if name.startswith("HTTP_")),
    } | seen


def text(value):
    """The text that a string of WSGI stands for (PEP 3333); Django has decoded it already."""
    try:
        return value.encode("latin1").decode("utf-8", "replace")
    except UnicodeEncodeError:
        return value
