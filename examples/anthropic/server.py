"""A model server with the API of Anthropic, which answers with the words that it was sent. It has no code for API keys.

Only the gate may reach this server.
"""

import json

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

app = FastAPI()


class Message(BaseModel):
    role: str
    content: str


class Messages(BaseModel):
    model: str
    max_tokens: int
    messages: list[Message]
    stream: bool = False


@app.post("/v1/messages")
def create_message(request: Messages):
    words = request.messages[-1].content.split(" ")
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": request.model, "stop_sequence": None}
    usage = {"input_tokens": len(words), "output_tokens": len(words)}
    if request.stream:
        start = message | {"content": [], "stop_reason": None, "usage": usage | {"output_tokens": 0}}
        return StreamingResponse(events(start, words, usage), media_type="text/event-stream")
    return message | {"content": [text_block(" ".join(words))], "stop_reason": "end_turn", "usage": usage}


def events(start, words, usage):
    yield event("message_start", message=start)
    yield event("content_block_start", index=0, content_block=text_block(""))
    for word in words:
        yield event("content_block_delta", index=0, delta={"type": "text_delta", "text": word + " "})
    yield event("content_block_stop", index=0)
    yield event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage=usage)
    yield event("message_stop")


def event(kind, **data):
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n"


def text_block(text):
    return {"type": "text", "text": text}
