"""Whoever edits what and disconnects when: in the end all copies are equal, the stored one too."""

from __future__ import annotations

import asyncio
from typing import Any

from channels.routing import URLRouter
from django.urls import path
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Array, Doc, Map, Text

from collab import documents
from collab.consumers import YjsConsumer
from collab.testing import CollabClient, close_rooms, use_memory_storage

PEOPLE = 3


class Echoing(YjsConsumer):
    echo_updates = True


application = URLRouter(
    [path("ws/<str:room>", YjsConsumer.as_asgi()), path("echo/<str:room>", Echoing.as_asgi())]
)

person = st.integers(0, PEOPLE - 1)
place = st.floats(0, 1)
number = st.integers(-(2**31), 2**31)
actions = st.lists(
    st.one_of(
        st.tuples(st.just("type"), person, place, st.text(min_size=1, max_size=5)),
        st.tuples(st.just("delete"), person, place, st.integers(1, 5)),
        st.tuples(st.just("set"), person, st.sampled_from("abc"), number),
        st.tuples(st.just("push"), person, number),
        st.tuples(st.just("pause"), person),
        st.tuples(st.just("leave"), person),
        st.tuples(st.just("come back"), person),
    ),
    max_size=40,
)


class Person:
    """Edits a document of her own, online or not."""

    def __init__(self, route: str) -> None:
        self.doc: Doc[Any] = Doc()
        self._route = route
        self._client: CollabClient | None = None

    async def act(self, what: str, *arguments: Any) -> None:
        if what == "leave":
            await self.leave()
        elif what == "come back":
            await self.come()
        elif what == "pause":
            await asyncio.sleep(0)
        else:
            self._edit(what, *arguments)

    def _edit(self, what: str, *arguments: Any) -> None:
        text = self.doc.get("text", type=Text)
        # Text counts bytes, and a letter may have several: cut between two of them.
        letters = str(text)
        if what == "set":
            self.doc.get("map", type=Map)[arguments[0]] = arguments[1]
        elif what == "push":
            self.doc.get("list", type=Array).append(arguments[0])
        else:
            start = int(arguments[0] * len(letters))
            before = len(letters[:start].encode())
            if what == "type":
                text.insert(before, arguments[1])
            elif doomed := letters[start : start + arguments[1]].encode():
                del text[before : before + len(doomed)]

    async def come(self) -> None:
        if self._client is None:
            self._client = CollabClient(application, self._route, doc=self.doc)
            await self._client.connect()

    async def leave(self) -> None:
        if self._client is not None:
            await self._client.disconnect()
            self._client = None

    async def sees(self, content: Any) -> None:
        assert self._client is not None
        await self._client.wait_until(lambda: content_of(self.doc) == content)


def content_of(doc: Doc[Any]) -> Any:
    return (
        str(doc.get("text", type=Text)),
        doc.get("map", type=Map).to_py(),
        doc.get("list", type=Array).to_py(),
    )


async def live(route: str, steps: list[Any]) -> None:
    people = [Person(route) for _ in range(PEOPLE)]
    for one in people:
        await one.come()
    for what, who, *arguments in steps:
        await people[who].act(what, *arguments)
    everything: Doc[Any] = Doc()
    for one in people:
        await one.come()
        everything.apply_update(one.doc.get_update())
    for one in people:
        await one.sees(content_of(everything))
    for one in people:
        await one.leave()
    await close_rooms()
    if await documents.aexists("room"):
        assert content_of(await documents.aread("room")) == content_of(everything)


@settings(max_examples=40, deadline=None)
@given(steps=actions)
def test_all_copies_are_equal_in_the_end(steps: list[Any]) -> None:
    with use_memory_storage():
        asyncio.run(live("/ws/room", steps))


@settings(max_examples=20, deadline=None)
@given(steps=actions)
def test_all_copies_are_equal_in_the_end_with_echoes(steps: list[Any]) -> None:
    with use_memory_storage():
        asyncio.run(live("/echo/room", steps))
