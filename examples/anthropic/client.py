"""Calls the model server behind the gate with Anthropic's own SDK, without and with streaming.

The key is in the environment variable API_KEY; API_URL is the URL of the gate (default http://127.0.0.1:8787).
"""

import os
import sys

import anthropic

client = anthropic.Anthropic(
    base_url=os.environ.get("API_URL", "http://127.0.0.1:8787"),
    api_key=os.environ["API_KEY"],
    # By default the SDK tries again twice after 429 and 503, and waits as long as `Retry-After` says.
    max_retries=0,
)
question = {"model": "echo-1", "max_tokens": 100, "messages": [{"role": "user", "content": "How are you?"}]}

try:
    print("answer:", client.messages.create(**question).content[0].text)
    with client.messages.stream(**question) as stream:
        for text in stream.text_stream:
            print("chunk:", text)
except anthropic.APIStatusError as error:
    sys.exit(f"client.py: {type(error).__name__} {error.body['error']}")
