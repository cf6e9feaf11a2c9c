"""Views that read and write documents open elsewhere; served with the test project.

They append to the root text "text".
"""

from __future__ import annotations

from contextlib import suppress
from threading import Thread
from typing import Any

from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse
from django.urls import path
from pycrdt import Doc, Text

from collab import documents

__all__ = ["urlpatterns"]


class Undo(Exception):
    """Ends a transaction without a commit."""


def content(doc: Doc[Any]) -> Text:
    text: Text = doc.get("text", type=Text)
    return text


def write_now(room: str, words: str) -> None:
    with documents.edit(room) as doc:
        content(doc).insert(len(content(doc)), words)


def write(request: HttpRequest, room: str, words: str) -> HttpResponse:
    write_now(room, words)
    return HttpResponse()


async def write_async(request: HttpRequest, room: str, words: str) -> HttpResponse:
    async with documents.aedit(room) as doc:
        content(doc).insert(len(content(doc)), words)
    return HttpResponse()


def write_in_thread(request: HttpRequest, room: str, words: str) -> HttpResponse:
    def work() -> None:
        write_now(room, words)
        connections.close_all()

    thread = Thread(target=work)
    thread.start()
    thread.join()
    return HttpResponse()


def send_update(request: HttpRequest, room: str, words: str) -> HttpResponse:
    doc: Doc[Any] = Doc()
    content(doc).insert(0, words)
    documents.send_doc_update(room, doc.get_update())
    return HttpResponse()


def write_in_transaction(request: HttpRequest, room: str, words: str) -> HttpResponse:
    with transaction.atomic():
        write_now(room, words)
        write_and_undo(request, room, "never")
    return HttpResponse()


def write_and_undo(request: HttpRequest, room: str, words: str) -> HttpResponse:
    with suppress(Undo), transaction.atomic():
        write_now(room, words)
        # Its own transaction sees it.
        assert words in str(content(documents.read(room)))
        raise Undo
    return HttpResponse()


def read(request: HttpRequest, room: str) -> HttpResponse:
    return HttpResponse(str(content(documents.read(room))))


def delete(request: HttpRequest, room: str) -> HttpResponse:
    return HttpResponse(str(documents.delete(room)))


def rename(request: HttpRequest, room: str, new: str) -> HttpResponse:
    documents.rename(room, new)
    return HttpResponse()


urlpatterns = [
    *(
        path(f"{view.__name__}/<room>/<words>", view)
        for view in (
            write,
            write_async,
            write_in_thread,
            send_update,
            write_in_transaction,
            write_and_undo,
        )
    ),
    path("read/<room>", read),
    path("delete/<room>", delete),
    path("rename/<room>/<new>", rename),
]
