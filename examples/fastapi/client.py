"""Adds a note and lists all notes of the API behind the gate.

The key is in the environment variable API_KEY; API_URL is the URL of the gate (default http://127.0.0.1:8787).
"""

import os
import sys

import requests

url = os.environ.get("API_URL", "http://127.0.0.1:8787") + "/notes"
headers = {"X-API-Key": os.environ["API_KEY"]}

for answer in (
    requests.post(url, json={"text": "Call Ada"}, headers=headers, timeout=30),
    requests.get(url, headers=headers, timeout=30),
):
    if not answer.ok:
        # A refusal of the gate is JSON (RFC 9457) with a code and a text for people.
        sys.exit(f"client.py: {answer.status_code} {answer.text}")
    print(answer.text)
