"""A model server with the API of OpenAI, which answers with the words that it was sent.

vLLM, Ollama, llama.cpp and many others speak the same API. As they do, it knows one key, PROVIDER_KEY, and no users.
"""

import hmac
import json
import os
from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

PROVIDER_KEY = os.environ["PROVIDER_KEY"]
MODEL = "echo-1"


def check_provider_key(authorization: Annotated[str, Header()] = ""):
    if not hmac.compare_digest(authorization.encode(), f"Bearer {PROVIDER_KEY}".encode()):
        raise HTTPException(401, "this is not the key of the model server")


app = FastAPI(dependencies=[Depends(check_provider_key)])


class Message(BaseModel):
    role: str
    content: str


class Completion(BaseModel):
    model: str
    messages: list[Message]
    stream: bool = False


@app.get("/v1/models")
def list_models():
    return {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 0, "owned_by": "example"}]}


@app.post("/v1/chat/completions")
def complete(request: Completion):
    text = request.messages[-1].content
    if request.stream:
        return StreamingResponse(events(text), media_type="text/event-stream")
    message = {"role": "assistant", "content": text}
    return answer("chat.completion", {"message": message, "finish_reason": "stop"})


def events(text):
    for word in text.split(" "):
        yield event(answer("chat.completion.chunk", {"delta": {"content": word + " "}, "finish_reason": None}))
    yield event(answer("chat.completion.chunk", {"delta": {}, "finish_reason": "stop"}))
    yield "data: [DONE]\n\n"


def event(data):
    return f"data: {json.dumps(data)}\n\n"


def answer(kind, choice):
    return {"id": "chatcmpl-1", "object": kind, "created": 0, "model": MODEL, "choices": [{"index": 0, **choice}]}
