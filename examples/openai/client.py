"""Calls the model server behind the gate with OpenAI's own SDK, without and with streaming.

The key is in the environment variable API_KEY; API_URL is the URL of the gate (default http://127.0.0.1:8787).
"""

import os
import sys

import openai

client = openai.OpenAI(
    base_url=os.environ.get("API_URL", "http://127.0.0.1:8787") + "/v1",
    api_key=os.environ["API_KEY"],
    # By default the SDK tries again twice after 429 and 503, and waits as long as `Retry-After` says.
    max_retries=0,
)
question = {"model": "echo-1", "messages": [{"role": "user", "content": "How are you?"}]}

try:
    print("models:", *(model.id for model in client.models.list()))
    print("answer:", client.chat.completions.create(**question).choices[0].message.content)
    for chunk in client.chat.completions.create(**question, stream=True):
        print("chunk:", chunk.choices[0].delta.content)
except openai.APIStatusError as error:
    sys.exit(f"client.py: {type(error).__name__} {error.code}: {error.body['message']}")
