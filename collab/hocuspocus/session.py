"""One document's side of the protocol, without I/O: messages behind an address in, effects out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from collab.access import Access
from collab.conf import Settings
from collab.hocuspocus.frames import AddressedType, status_frame
from collab.protocol.effects import (
    CommentUpdate,
    Effect,
    ReaderState,
    Reply,
    RoomUpdate,
    StateRequest,
)
from collab.protocol.frames import read_varuint
from collab.protocol.session import Session
from collab.protocol.yjs.updates import outline
from collab.wire import MessageType, SyncType

__all__ = ["ExchangeRequest", "HocuspocusSession", "scope_of"]


@dataclass(frozen=True)
class ExchangeRequest(StateRequest):
    """A client's question for missing updates, which expects the same question of the server."""


#: The beginning of a change; of a short one, a byte with its size follows.
_UPDATE = bytes((MessageType.SYNC, SyncType.UPDATE))
_HEADER_SIZE = len(_UPDATE) + 1
#: Types of messages whose bytes are those of y-websocket.
_SHARED = frozenset({MessageType.SYNC, MessageType.AWARENESS, MessageType.QUERY_AWARENESS})


def scope_of(access: Access) -> str:
    """Return the word that providers see."""
    return "read-write" if access >= Access.WRITE else "readonly"


class HocuspocusSession(Session):
    """The protocol state of one document of a client.

    A provider counts the frames that are not reported as stored: it begins with 1 whenever it sends
    a step 1, adds 1 for each change, and expects a report for each, and for the answer to one
    question of the server. So updates are numbered, and answers to further questions are not: each
    has the number of the update before it, with which it is reported.

    Args:
        access: of the member; may change later.
        settings: for the limits.
        durable: whether updates of the member are stored.
    """

    def __init__(self, access: Access, settings: Settings, *, durable: bool) -> None:
        super().__init__(access, settings, durable=durable)
        #: The client expects a report for its next answer.
        self._owes_report = False
        #: Shorter updates have a size of one byte, and are not too large.
        self._short = min(0x80, settings.MAX_FRAME_SIZE - _HEADER_SIZE)

    @property
    def received_updates(self) -> int:
        """The number of received updates; an answer without news does not count."""
        return self._updates

    def answer_reader(self, *, has_news: bool) -> Reply:
        """Return the report for the answer of a client that may only read.

        Args:
            has_news: the answer has something that the document lacks, which is refused.
        """
        self._owes_report = False
        self._updates += has_news
        return Reply(status_frame(not has_news))

    def receive_message(self, frame: bytes, position: int) -> Effect[Any]:
        """Return the effect of the message at ``position`` of a frame.

        A message of an unknown type has none.

        Raises:
            ProtocolViolation: it is not valid.
            TooBig: it is larger than allowed.
        """
        size = len(frame) - position - _HEADER_SIZE
        if 0 <= size < self._short and frame.startswith(_UPDATE, position):
            # Nearly all messages are short updates.
            start = position + _HEADER_SIZE
            if frame[start - 1] == size:
                return self._receive_update(frame[start:], is_whole=False)
        kind, behind = read_varuint(frame, position)
        if kind == AddressedType.SYNC_REPLY:
            return self.receive_bytes(bytes((MessageType.SYNC,)) + frame[behind:])
        if kind not in _SHARED:
            return None
        effect = self.receive_bytes(frame[position:])
        if isinstance(effect, StateRequest):
            self._owes_report = True
            return ExchangeRequest(effect.state)
        return effect

    def _receive_update(self, update: bytes, *, is_whole: bool) -> Effect[Any]:
        if is_whole and not self.can_write:
            return ReaderState(update)
        is_numbered = not is_whole or self._owes_report
        self._updates += is_numbered
        if is_whole:
            self._owes_report = False
        if not self.can_write:
            return self.refuse_update()
        number, found = self._updates, outline(update)
        if self.access < Access.WRITE:
            # If it is refused, the update before it is not.
            return CommentUpdate(RoomUpdate[Any](update, number * is_numbered, is_whole, found))
        return RoomUpdate[Any](update, number, is_whole, found)

    def refuse_update(self) -> Reply:
        """Return the report that an update is not stored and will not be."""
        return Reply(status_frame(False))
