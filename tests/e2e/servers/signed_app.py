"""The example behind its check, as a WSGI server loads it; MOUNT is where it is mounted."""

import os

from app import app
from gate_signature import GateSignature

app.wsgi_app = GateSignature(app.wsgi_app, os.environ["KEYGATE_SIGNING_KEY"], os.environ.get("MOUNT", ""))
