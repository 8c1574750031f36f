"""A Flask application that answers with what it sees. Flask's development server serves it."""

from flask import Flask, request
from werkzeug.exceptions import HTTPException

from wsgi_app import report

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

app = Flask(__name__, static_folder=None)


def answer(**_):
    return seen(request.endpoint)


def seen(resource):
    return report(
        request.environ,
        resource,
        method=request.method,
        mount=request.root_path,
        path=request.path,
        user=request.remote_user,
        scheme=request.scheme,
        host=request.host,
        address=request.remote_addr,
    )


for name in ["public", "admin", "closed"]:
    app.add_url_rule(f"/{name}/", name, answer, methods=METHODS)
    app.add_url_rule(f"/{name}/<path:rest>", name, answer, methods=METHODS)
app.add_url_rule("/api/items/<item>", "items", answer, methods=METHODS)


@app.errorhandler(HTTPException)
def none(fault):
    # A redirect is an HTTPException, too.
    return seen(None), fault.code


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=0)
