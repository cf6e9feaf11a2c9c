"""Fakes for tests of live rooms: a storage that obeys, a websocket that obeys, and patience."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar

from collab.access import Access
from collab.conf import Settings
from collab.engine.rooms.member import Member
from collab.engine.rooms.outbox import Outbox
from collab.engine.rooms.room import Room
from collab.protocol.session import Session
from collab_storage.authorship import Authorship
from collab_storage.base import DocumentId, LogEntry, StoredDocument
from collab_storage.memory import MemoryStorage

__all__ = ["Answer", "HinderedStorage", "Socket", "new_member", "room_of"]


class HinderedStorage(MemoryStorage):
    """Keeps documents in memory; its verbs wait or fail as a test has it."""

    #: The object that was made last: settings name a class only.
    latest: ClassVar[HinderedStorage]

    def __init__(self) -> None:
        super().__init__()
        HinderedStorage.latest = self
        self.calls: Counter[str] = Counter()
        #: What a verb raises, once it is no longer held up.
        self.failures: dict[str, Exception] = {}
        #: What a verb waits for.
        self.gates: dict[str, asyncio.Event] = {}
        #: The documents that cannot be appended to, and why.
        self.spoilt: dict[str, Exception] = {}
        #: The ids that the appended entries have asked for.
        self.asked: list[DocumentId | None] = []

    def hold(self, verb: str) -> asyncio.Event:
        """Make ``verb`` wait until the event that this returns is set."""
        self.gates[verb] = asyncio.Event()
        return self.gates[verb]

    async def _hinder(self, verb: str) -> None:
        self.calls[verb] += 1
        if gate := self.gates.get(verb):
            await gate.wait()
        if error := self.failures.get(verb):
            raise error

    async def load(self, name: str) -> StoredDocument | None:
        await self._hinder("load")
        return await super().load(name)

    async def create(self, entry: LogEntry) -> DocumentId | None:
        await self._hinder("create")
        return await super().create(entry)

    async def append(self, entries: Sequence[LogEntry]) -> dict[str, DocumentId]:
        await self._hinder("append")
        self.asked += [entry.document_id for entry in entries]
        for entry in entries:
            if error := self.spoilt.get(entry.name):
                raise error
        return await super().append(entries)

    async def delete(self, name: str, document_id: DocumentId | None = None) -> bool:
        await self._hinder("delete")
        return await super().delete(name, document_id)

    async def fold(
        self, name: str, loaded: StoredDocument, snapshot: bytes, authorship: Authorship
    ) -> bool:
        await self._hinder("replace")
        return await super().fold(name, loaded, snapshot, authorship)


class Answer:
    """The answer what a client may do: to write."""

    def __init__(self) -> None:
        self.access = Access.WRITE
        self.has_expired = False

    async def ask_again(self) -> Access:
        return self.access


class Socket:
    """A connection's way out, which the client may read from or not."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.scope: dict[str, Any] = {}
        self.access_check = Answer()
        self.evicted = False
        self.rechecked = 0
        self._open = asyncio.Event()
        self._open.set()
        self._broken = False

    def block(self) -> None:
        """Stop reading."""
        self._open.clear()

    def unblock(self) -> None:
        """Read on."""
        self._open.set()

    def break_off(self) -> None:
        """Go away; who sends now, or waits to, is told so."""
        self._broken = True
        self._open.set()

    async def send(self, message: dict[str, Any]) -> None:
        """Do what an ASGI server's ``send`` does."""
        await self._open.wait()
        if self._broken:
            raise ConnectionError("The client is gone.")
        self.messages.append(message)

    # What a member asks of its consumer.

    def evict(self) -> None:
        self.evicted = True

    async def recheck_access(self, *, routine: bool = False) -> None:
        self.rechecked += 1

    async def forget_user(self) -> None:
        self.scope["user"] = None
        await self.recheck_access()

    # What has arrived.

    @property
    def frames(self) -> list[bytes]:
        return [message["bytes"] for message in self.messages if "bytes" in message]

    @property
    def replies(self) -> list[dict[str, Any]]:
        return [json.loads(message["text"]) for message in self.messages if "text" in message]

    @property
    def close_code(self) -> int | None:
        codes = [message["code"] for message in self.messages if "code" in message]
        return codes[0] if codes else None


def room_of(member: Member) -> Room:
    """Return the room that a member is in."""
    assert isinstance(member.room, Room)
    return member.room


def new_member(
    room: Room | None = None,
    *,
    access: Access = Access.WRITE,
    greeted: bool = False,
    user_id: str | None = None,
    echo_updates: bool = False,
    **limits: Any,
) -> tuple[Member, Socket]:
    """Return a member that has joined ``room``, and its way out, which has told nothing yet."""
    socket, settings = Socket(), Settings(**limits)
    session = Session(access, settings, durable=True)
    session.greeted = greeted
    outbox = Outbox(socket.send, None, settings, socket.evict, user_id)
    member = Member(socket, session, outbox, user_id=user_id, echo_updates=echo_updates)
    if room is not None:
        room.join(member)
    socket.messages.clear()
    return member, socket
