"""A room that a fuzzer in another process drives, line by line: see ``tests/js/differential.js``.

Each command is a letter and base64; each answer is base64. The room stores in memory; it falls
asleep, is loaded again, and has its log compacted when the fuzzer says so.
"""

from __future__ import annotations

import asyncio
import sys
from base64 import b64decode, b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pycrdt import Doc

from collab.conf import Settings
from collab.engine.rooms.context import RoomContext
from collab.engine.rooms.encoded_document import DocumentBytes
from collab.engine.rooms.member import Member
from collab.engine.rooms.room import Room
from collab.protocol.effects import RoomUpdate
from collab.protocol.frames import update_frame
from collab.protocol.yjs.updates import EMPTY_UPDATE
from collab_storage.base import LogEntry, StoredDocument
from collab_storage.compaction import compact, read_stored
from collab_storage.memory import MemoryStorage
from tests.engine.fakes import Socket, new_member

NOTHING = StoredDocument(None, [], 0)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Store:
    """Stores at once."""

    def __init__(self) -> None:
        self.log: list[bytes] = []

    def has_room(self, name: str) -> bool:
        return True

    def put(self, name: str, updates: Sequence[RoomUpdate[Member]]) -> None:
        self.log += [update.data for update in updates if update.data != EMPTY_UPDATE]


class Server:
    """One document: live in a room, and stored."""

    def __init__(self) -> None:
        self.storage = MemoryStorage()
        self.store = Store()
        self.member: Member
        self.socket: Socket
        self.room = self.load(DocumentBytes(EMPTY_UPDATE, b"\0"))

    def load(self, source: DocumentBytes) -> Room:
        room = Room("notes", source, RoomContext(Settings(), store=self.store))
        self.member, self.socket = new_member(room)
        return room

    async def append(self) -> StoredDocument | None:
        """Store what the room has brought."""
        log, self.store.log = self.store.log, []
        await self.storage.append([LogEntry("notes", update, NOW) for update in log])
        return await self.storage.load("notes")

    async def answer(self, command: str, data: bytes) -> bytes:
        """Do what a command asks for."""
        match command:
            case "a":
                effect = self.member.session.receive_bytes(update_frame(data))
                self.room.handle(self.member, effect)
                self.room.flush()
                assert not self.member.is_closed, self.socket.messages
            case "v":
                return self.room.state()
            case "e":
                return self.room.encode(data or b"\0")
            case "s":
                self.room._document.sleep()
            case "r":
                self.room.close()
                content = read_stored(await self.append() or NOTHING)
                self.room = self.load(DocumentBytes(content.update, content.state))
            case "c":
                await self.append()
                await compact(self.storage, "notes")
            case "d":
                # As a program reads the document.
                doc: Doc[Any] = Doc()
                doc.apply_update(read_stored(await self.append() or NOTHING).update)
                return doc.get_update()
        return b""


async def main() -> None:
    server = Server()
    for line in iter(sys.stdin.readline, ""):
        command, _, argument = line.strip().partition(" ")
        try:
            if command == "n":
                server.room.close()
                server = Server()
            print(b64encode(await server.answer(command, b64decode(argument))).decode(), flush=True)
        except BaseException as error:
            print("ERR", type(error).__name__, str(error)[:300].replace("\n", " "), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
