"""Receives webhooks of a sender that cannot set headers: its key is in the URL, where the gate reads it and takes it out.

Only the gate may reach this server.
"""

from typing import Annotated

from fastapi import FastAPI, Header, Request

app = FastAPI()


@app.post("/hooks/{event}")
async def receive(event: str, request: Request, x_keygate_subject: Annotated[str, Header()]):
    payload = await request.json()
    return {"event": event, "sender": x_keygate_subject, "query": str(request.query_params), "payload": payload}
