"""A notes API without any code for API keys.

The gate in front of it lets only key holders through, and states who calls in two headers. Only the gate may reach this server.
"""

from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel

app = FastAPI()

NOTES = {1: "Buy milk"}


class Caller(BaseModel):
    subject: str
    scopes: list[str]


def caller(x_keygate_subject: Annotated[str, Header()], x_keygate_scopes: Annotated[str, Header()] = "") -> Caller:
    """The holder of the request's key. The gate sets these headers, and strips them from what a client sends."""
    return Caller(subject=x_keygate_subject, scopes=x_keygate_scopes.split())


class Note(BaseModel):
    text: str


@app.get("/healthz")
def health():
    return {"status": "ok"}


@app.get("/notes")
def list_notes(who: Annotated[Caller, Depends(caller)]):
    return {"notes": NOTES, "caller": who}


@app.post("/notes", status_code=201)
def add_note(note: Note, who: Annotated[Caller, Depends(caller)]):
    NOTES[len(NOTES) + 1] = note.text
    return {"id": len(NOTES), "created_by": who.subject}


@app.delete("/notes/{note_id}")
def delete_note(note_id: int, who: Annotated[Caller, Depends(caller)]):
    # A rule that a route of the gate could have as well; here it depends on the scopes of the caller's key.
    if "notes:admin" not in who.scopes:
        raise HTTPException(403, "only a key with the scope notes:admin may delete notes")
    return {"deleted": NOTES.pop(note_id, None)}
