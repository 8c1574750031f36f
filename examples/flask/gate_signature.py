"""WSGI middleware that accepts only requests that the gate has signed (RFC 9421).

    export KEYGATE_SIGNING_KEY=...     # the same string as the gate's secret ORIGIN_SIGNING_KEY
    python gate_signature.py           # serves app.py behind this check

In your own application it is one line, and works with every WSGI framework:

    app.wsgi_app = GateSignature(app.wsgi_app, os.environ["KEYGATE_SIGNING_KEY"])

An application that is mounted below a path passes it: GateSignature(app.wsgi_app, keys, mount="/api").
"""

import base64
import io
import logging
import os
import sys
from datetime import timedelta
from urllib.parse import unquote_to_bytes

from http_message_signatures import (
    HTTPMessageSignaturesException,
    HTTPMessageVerifier,
    HTTPSignatureComponentResolver,
    InvalidSignature,
    MappingKeyResolver,
    algorithms,
)
from werkzeug.exceptions import HTTPException
from werkzeug.wsgi import get_input_stream

# A signature is valid for a minute, which includes a few seconds of clock skew.
LIFETIME = timedelta(seconds=60)
CLOCK_SKEW = timedelta(seconds=5)

# Every signature must cover these components. It must cover the headers below if the request has them.
ALWAYS_COVERED = ("@method", "@authority", "@path", "@query")
COVERED_IF_PRESENT = ("content-digest", "x-keygate-")

# The largest body that is read into memory, to compare it with its Content-Digest.
MAX_DIGESTED_BYTES = 16 * 1024 * 1024

log = logging.getLogger("gate_signature")


class GateSignature:
    """Answers 403 to requests that the gate has not signed, without calling the application."""

    def __init__(self, app, keys, mount=""):
        self._app = app
        self._mount = mount
        self._verifier = HTTPMessageVerifier(
            signature_algorithm=algorithms.HMAC_SHA256,
            key_resolver=MappingKeyResolver(public_keys=read_keys(keys), private_keys={}),
            component_resolver_class=Components,
        )
        self._verifier.max_clock_skew = CLOCK_SKEW

    def __call__(self, environ, start_response):
        try:
            self._verify(environ)
        except HTTPMessageSignaturesException as fault:
            # Only to the log: a caller who bypassed the gate is not told what is missing.
            log.warning("refused a request that is not signed by the gate: %s", fault)
            start_response("403 Forbidden", [("Content-Type", "application/json"), ("Cache-Control", "no-store")])
            return [b'{"error": "only the gate may call this server"}\n']
        except HTTPException as fault:  # the body is too large
            return fault(environ, start_response)
        return self._app(environ, start_response)

    def _verify(self, environ):
        request = SignedRequest(environ, self._mount)
        # A header that is present but not covered was added on the way.
        present = [name for name in request.headers if name.startswith(COVERED_IF_PRESENT)]
        results = self._verifier.verify(
            request,
            max_age=LIFETIME - CLOCK_SKEW,
            expect_tag="keygate",
            require_components=[*ALWAYS_COVERED, *present],
        )
        if "content-digest" in present:
            body = get_input_stream(environ, max_content_length=MAX_DIGESTED_BYTES).read()
            environ["wsgi.input"] = io.BytesIO(body)
            self._verifier.verify_body(request, results, body)


class SignedRequest:
    """The signed components of a request, taken from the values that the application reads."""

    def __init__(self, environ, mount):
        # The raw path, not decoded. Werkzeug, uWSGI and mod_wsgi call it REQUEST_URI, gunicorn RAW_URI.
        target = environ.get("REQUEST_URI") or environ.get("RAW_URI", "")
        self.path, mark, query = target.partition("?")
        if not self.path.startswith("/") or query != environ.get("QUERY_STRING", ""):
            raise InvalidSignature("the request target is not a path and a query")
        # These two route the application. With gunicorn, a header named SCRIPT_NAME can change where one ends and the other begins.
        script_name = environ.get("SCRIPT_NAME", "")
        if script_name != mount:
            raise InvalidSignature("the request names another mount than the application's")
        if script_name + environ.get("PATH_INFO", "") != unquote_to_bytes(self.path).decode("latin-1"):
            raise InvalidSignature("the application would be asked for another path than the one that is signed")
        self.method = environ["REQUEST_METHOD"]
        self.authority = environ.get("HTTP_HOST", "").lower()
        self.query = "?" + query
        self.headers = {
            name.removeprefix("HTTP_").replace("_", "-").lower(): value
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        # The library needs a full URL, and a stricter one than browsers send (`?filter[name]=x`). Components returns the real parts.
        self.url = "http://origin/"


class Components(HTTPSignatureComponentResolver):
    """Reads the parts of a SignedRequest."""

    derived_component_resolvers = {
        "@method": lambda resolver: resolver.message.method,
        "@authority": lambda resolver: resolver.message.authority,
        "@path": lambda resolver: resolver.message.path,
        "@query": lambda resolver: resolver.message.query,
    }


def read_keys(text):
    """Parses one or two `<id>:<base64>`. Both are accepted, so that the signing key can be rotated."""
    keys = {}
    for entry in text.split():
        key_id, _, encoded = entry.partition(":")
        try:
            keys[key_id] = base64.b64decode(encoded, validate=True)
        except ValueError:
            # Without the original error, which may quote the key.
            raise ValueError(f"the signing key {len(keys) + 1} is not <id>:<base64>") from None
        if len(keys[key_id]) < 32:
            raise ValueError(f"the signing key {len(keys)} has fewer than 32 bytes")
    if not keys:
        raise ValueError("there is no signing key")
    return keys


def main():
    from app import app

    try:
        app.wsgi_app = GateSignature(app.wsgi_app, os.environ.get("KEYGATE_SIGNING_KEY", ""))
    except ValueError as fault:
        # Never serve without the check: an unset variable must not open the server.
        return f"gate_signature.py: KEYGATE_SIGNING_KEY: {fault}; set it to the gate's ORIGIN_SIGNING_KEY"
    app.run(host="127.0.0.1", port=int(os.environ.get("PORT", "5000")))


if __name__ == "__main__":
    sys.exit(main())
