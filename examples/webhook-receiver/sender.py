"""Sends one webhook, as a service does in which a URL is all that can be set.

WEBHOOK_URL is that URL, with the key in its query.
"""

import os
import sys

import requests

answer = requests.post(os.environ["WEBHOOK_URL"], json={"order": 17}, timeout=30, allow_redirects=False)
if not answer.ok:
    sys.exit(f"sender.py: {answer.status_code} {answer.text}")
print(answer.text)
