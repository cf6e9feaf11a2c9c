"""Random histories of a room, and all that it does; the same for every way in which it is run.

    python -m tests.engine.sequences 200 >outcomes

writes a line for each history: a digest of what was sent to whom, what was stored, what was refused
and what was left, and the history.

    tail -n +2 outcomes | python -m tests.engine.sequences

plays the same histories: Hypothesis finds others where modules have no source.
"""

from __future__ import annotations

import asyncio
import sys
from ast import literal_eval
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pycrdt import Doc, Map, Text

import collab
from collab.access import Access
from collab.conf import Settings
from collab.engine.rooms.context import RoomContext
from collab.engine.rooms.encoded_document import DocumentBytes
from collab.engine.rooms.member import Member
from collab.engine.rooms.room import Room
from collab.exceptions import MemberError
from collab.protocol.effects import RoomUpdate, StatelessMessage
from collab.protocol.frames import PresenceState, presence_frame, step1_frame, update_frame
from collab.protocol.yjs.updates import EMPTY_STATE
from tests.engine.fakes import Socket, new_member
from tests.protocol.yjs.samples import HELLO, changes, content, new_doc

__all__ = ["main"]

#: What a member does: where, with which character, and how the frame is changed on its way.
Step = tuple[int, str, int, int, int]

_KINDS = ("type", "delete", "map", "late", "broken", "step 1", "presence", "text")
_TEXTS = ('{"action": "hello", "request_id": 1}', '{"action": "x"}', "[", '{"request_id": null}')
_LETTERS = "ab\n"

steps = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(_KINDS),
        st.integers(0, 30),
        st.integers(0, 255),
        st.integers(0, 3),
    ),
    min_size=1,
    max_size=30,
)


class StillLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock stands still, so that no timer depends on the machine."""

    def time(self) -> float:
        return 0.0


class Store:
    """Keeps what the room hands over."""

    def __init__(self) -> None:
        self.stored: list[bytes] = []

    def has_room(self, name: str) -> bool:
        return True

    def put(self, name: str, updates: Sequence[RoomUpdate[Member]]) -> None:
        self.stored += [update.data for update in updates]
        for update in updates:
            if update.member is not None:
                update.member.send_saved(update.number)


class Author:
    """A client with a document of its own."""

    def __init__(self, client_id: int) -> None:
        self.doc: Doc[Any] = new_doc(HELLO, client_id=client_id)
        self.map = self.doc.get("map", type=Map)
        self.held: list[bytes] = []
        self.clock = 0

    def frames(self, kind: str, at: int, value: int, letter: int) -> list[bytes | str]:
        """Return what the client sends for one step."""
        if kind == "step 1":
            return [step1_frame(self.doc.get_state() if value % 2 else EMPTY_STATE)]
        if kind == "presence":
            self.clock += 1
            return [presence_frame([PresenceState(self.doc.client_id, self.clock, "{}")])]
        if kind == "text":
            return [_TEXTS[value % len(_TEXTS)]]
        with changes(self.doc) as updates:
            self._change(kind, at, letter)
        if kind == "late":
            self.held += updates
            return []
        if kind == "broken":
            updates = [_broken(update, at, value) for update in updates]
        sent, self.held = [*updates, *self.held], []
        return [update_frame(update) for update in sent]

    def _change(self, kind: str, at: int, letter: int) -> None:
        text = content(self.doc)
        if kind == "map":
            self.map[str(at)] = letter
        elif kind == "delete":
            if size := len(str(text)):
                del text[at % size : at % size + 1]
        elif letter < len(_LETTERS):
            text.insert(at % (len(str(text)) + 1), _LETTERS[letter])
        else:
            # At the beginning, for pycrdt counts bytes.
            _letters(self.doc).insert(0, "é🦄")


def _letters(doc: Doc[Any]) -> Text:
    """Return a text of letters that are more than a byte."""
    found: Text = doc.get("letters", type=Text)
    return found


def _broken(update: bytes, at: int, value: int) -> bytes:
    place = at % len(update)
    return update[:place] + bytes((value,)) + update[place + 1 :]


async def _play(history: list[Step]) -> list[Any]:
    store, authors = Store(), [Author(number + 2) for number in range(3)]
    source = DocumentBytes(HELLO, new_doc(HELLO).get_state())
    room = Room("room", source, RoomContext(Settings(), store=store))
    members = [
        new_member(room, access=access, user_id=str(access))
        for access in (Access.WRITE, Access.WRITE, Access.READ)
    ]
    seen: list[Any] = []
    for who, kind, at, value, letter in history:
        member, socket = members[who]
        for frame in authors[who].frames(kind, at, value, letter):
            seen.append(_send(room, member, socket, frame))
        if value % 3:
            room.flush()
            await asyncio.sleep(0)
    room.flush()
    await asyncio.sleep(0)
    seen += [socket.messages for _, socket in members]
    seen += [store.stored, room.state(), room.encode(EMPTY_STATE), room.size, room.pending_updates]
    room.close()
    return seen


def _send(room: Room, member: Member, socket: Socket, frame: bytes | str) -> str:
    """Deliver a frame; return what became of it."""
    if member.is_closed:
        return "closed"
    session = member.session
    try:
        if isinstance(frame, bytes):
            room.handle(member, session.receive_bytes(frame))
        else:
            effect = session.receive_text(frame)
            assert not isinstance(effect, StatelessMessage)
            room.handle(member, effect)
    except MemberError as error:
        member.refuse(error)
        return f"{type(error).__name__}: {error} {error.cause}"
    return "handled"


def outcome(history: list[Step]) -> str:
    """Play a history; return a line with the digest of all that has come of it."""
    with asyncio.Runner(loop_factory=StillLoop) as runner:
        seen = repr(runner.run(_play(history)))
    return f"{sha256(seen.encode()).hexdigest()} {history!r}"


def histories(count: int) -> None:
    """Print the outcomes of so many random histories."""

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(steps)
    def play(history: list[Step]) -> None:
        print(outcome(history))

    play()


def main(arguments: list[str]) -> None:
    """Print the outcomes of random histories, or of those that are read."""
    print(f"compiled: {collab.__compiled__}")
    if arguments:
        histories(int(arguments[0]))
    else:
        for line in sys.stdin:
            print(outcome(literal_eval(line.partition(" ")[2])))


if __name__ == "__main__":
    main(sys.argv[1:])
