"""One member's side of the protocol, without I/O: frames in, effects out.

:class:`Session` decides the meaning of a frame and whether this member may send it; the room
carries the effects out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from typing import Any, Final

from collab import __version__
from collab.access import Access
from collab.conf import Settings
from collab.exceptions import ProtocolViolation, TooBig
from collab.protocol.effects import (
    CommentUpdate,
    Effect,
    PresenceChange,
    PresenceRequest,
    Reply,
    RoomUpdate,
    StatelessMessage,
    StateRequest,
)
from collab.protocol.frames import auth_denied_frame, decode_presence, read_bytes, read_varuint
from collab.protocol.json_frames import json_frame, read_json
from collab.protocol.yjs.updates import outline
from collab.protocol.yjs.validation import check_state
from collab.wire import MessageType, SyncType

__all__ = ["Request", "Session"]


# Not frozen, for that takes ten times as long to make, and each client sends one.
@dataclass
class Request:
    """The request in a text frame.

    Args:
        action: its name.
        request_id: is sent back with the answer.
        arguments: the other members of the JSON object.
    """

    action: str
    request_id: str | float | None
    arguments: dict[str, Any]


# Python 3.11 takes long to find a member of an enum.
_COMMENT: Final = Access.COMMENT
_WRITE: Final = Access.WRITE
#: The beginnings of sync messages as every client writes them.
_UPDATE: Final = bytes((MessageType.SYNC, SyncType.UPDATE))
_STEP2: Final = bytes((MessageType.SYNC, SyncType.STEP2))
#: Sizes from this one on take more than one byte.
_LONG: Final = 128
#: Answers to "hello" that are kept, one for each access and version of a type.
_MAX_HELLOS: Final = 64
#: Bytes of a frame besides an update in it, at most.
_HEADER_SIZE: Final = 16

_READ_ONLY: Final = "You may read this document, but not change it."
_OUTDATED: Final = "This page is out of date; reload it to change the document."
_THROTTLED: Final = "Rate limit exceeded; your messages are delayed."


class Session:
    """The protocol state of one member.

    Args:
        access: of the member; may change later.
        settings: for the limits.
        durable: whether updates of the member are stored.
    """

    def __init__(self, access: Access, settings: Settings, *, durable: bool) -> None:
        self.access = access
        #: Version of the document's type; a client that names an older one may only read.
        self.version: int | None = None
        self._is_outdated = False
        #: The member said hello: it receives JSON frames when its updates are saved.
        self.greeted = False
        self._durable = durable
        self._settings = settings
        self._updates = 0
        self._told_read_only = False
        self._told_throttled = False

    @property
    def can_write(self) -> bool:
        """Whether the member may change the document, or the formats of comments in it."""
        return self.access >= _COMMENT

    def receive_bytes(self, frame: bytes) -> Effect[Any]:
        """Return the effect of a binary frame.

        Raises:
            ProtocolViolation: it is not valid.
            TooBig: it is larger than allowed.
        """
        if len(frame) > self._settings.MAX_FRAME_SIZE:
            self._check_large(frame)
        if frame.startswith(_UPDATE):
            # Nearly all frames are.
            size = len(frame) - len(_UPDATE) - 1
            if 0 <= size < _LONG and frame[2] == size:
                return self._receive_update(frame[3:], is_whole=False)
            return self._receive_update(_last_bytes(frame, len(_UPDATE)), is_whole=False)
        kind, position = read_varuint(frame, 0)
        if kind == MessageType.SYNC:
            return self._receive_sync(frame, position)
        if kind == MessageType.AWARENESS:
            payload = _last_bytes(frame, position)
            return PresenceChange(decode_presence(payload, self._settings.MAX_PRESENCE_SIZE))
        if kind == MessageType.QUERY_AWARENESS:
            return PresenceRequest()
        raise ProtocolViolation("The frame is of an unknown type.")

    def receive_text(self, frame: str) -> Reply | StatelessMessage:
        """Return the effect of a JSON frame; one that is wrong is answered with an error.

        Raises:
            TooBig: it is larger than allowed.
        """
        request = self.read_request(frame)
        if isinstance(request, Reply):
            return request
        if request.action != "stateless":
            return self.answer(request)
        payload = request.arguments.get("data")
        if not isinstance(payload, str):
            return _refusal("stateless", request.request_id, 'Send a text as "data".', 400)
        return StatelessMessage(payload)

    def read_request(self, frame: str) -> Request | Reply:
        """Return the effect of a JSON frame, or the answer to one that is not valid.

        Raises:
            TooBig: it is larger than allowed.
        """
        size = len(frame) if frame.isascii() else len(frame.encode(errors="surrogatepass"))
        if size > self._settings.MAX_FRAME_SIZE or size > self._settings.MAX_TEXT_SIZE:
            self._check_size(size)
            self._check_size(size, "MAX_TEXT_SIZE")
        if (arguments := _read_object(frame)) is None:
            return _refusal(None, None, "Send a JSON object.", 400)
        action, request_id = arguments.pop("action", None), arguments.pop("request_id", None)
        if not _is_id(request_id):
            return _refusal(None, None, 'Send a "request_id" that is text or a number.', 400)
        if not isinstance(action, str):
            return _refusal(None, request_id, "Unable to find action in message body.", 405)
        return Request(action, request_id, arguments)

    def answer(self, request: Request) -> Reply:
        """Return the answer to a request that every consumer understands, or that none does."""
        if request.action != "hello":
            error = f'Method "{request.action}" not allowed.'
            return _refusal(request.action, request.request_id, error, 405)
        self.greeted = True
        self._compare_version(request.arguments.get("version"))
        head, tail = _hello(self.access.label, self._durable, self.version)
        request_id = request.request_id
        # The usual ids need no encoder.
        shown = str(request_id) if type(request_id) is int else json.dumps(request_id)
        return Reply(f"{head}{shown}{tail}")

    def change_access(self, access: Access) -> Reply | None:
        """Change the access of the member; return the frame that reports it."""
        self.access = min(access, Access.READ) if self._is_outdated else access
        self._told_read_only = False
        return Reply(json_frame("access", data=self._access_data())) if self.greeted else None

    def on_throttled(self) -> Reply | None:
        """Return the warning for a member that sends faster than it may, once."""
        if self._told_throttled or not self.greeted:
            return None
        self._told_throttled = True
        return _refusal("throttled", None, _THROTTLED, 429)

    def _compare_version(self, version: object) -> None:
        """Restrict a client to reading if it was written for an older version of the document."""
        if not isinstance(version, int | float) or isinstance(version, bool):
            return
        if self.version is not None and version < self.version:
            self._is_outdated = True
            self.access = min(self.access, Access.READ)

    def _access_data(self) -> dict[str, str]:
        return {"access": self.access.label}

    def _check_large(self, frame: bytes) -> None:
        """Return if a binary frame may be larger than ``MAX_FRAME_SIZE``.

        The answer to a step 1 may be a whole document: one that was restored from an old backup,
        or written offline, comes from its clients.
        """
        if frame.startswith(_STEP2):
            self._check_size(len(frame) - _HEADER_SIZE, "MAX_DOCUMENT_SIZE")
        else:
            self._check_size(len(frame))

    def _check_size(self, size: int, name: str = "MAX_FRAME_SIZE") -> None:
        if size > (limit := getattr(self._settings, name)):
            raise TooBig(f"A frame has {size} bytes, more than {limit}.", limit=name)

    def _receive_sync(self, frame: bytes, position: int) -> Effect[Any]:
        kind, position = read_varuint(frame, position)
        payload = _last_bytes(frame, position)
        if kind == SyncType.STEP1:
            check_state(payload)
            return StateRequest(payload)
        if kind not in (SyncType.STEP2, SyncType.UPDATE):
            raise ProtocolViolation("The sync message is of an unknown type.")
        return self._receive_update(payload, is_whole=kind == SyncType.STEP2)

    def _receive_update(self, update: bytes, *, is_whole: bool) -> Effect[Any]:
        # Clients count those that are refused, too, and may become writers later.
        self._updates += 1
        if self.access < _WRITE:
            if self.access == _COMMENT:
                comment = RoomUpdate[Any](update, self._updates, is_whole, outline(update))
                return CommentUpdate(comment)
            return self.refuse_update()
        return RoomUpdate(update, self._updates, is_whole, outline(update))

    def refuse_update(self) -> Reply | None:
        """Return the answer to an update that the member may not send."""
        if self._told_read_only:
            return None
        self._told_read_only = True
        reason = _OUTDATED if self._is_outdated else _READ_ONLY
        if self.greeted:
            return _refusal("update", None, reason, 403)
        return Reply(auth_denied_frame(reason))


def _read_object(frame: str) -> dict[str, Any] | None:
    """Return the JSON object in a frame; ``None`` if the frame is not valid."""
    try:
        value = read_json(frame)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _is_id(value: object) -> bool:
    """Return whether a request id can be sent back: texts, numbers, and none."""
    if type(value) is int or value is None:
        # Most are.
        return True
    return isinstance(value, str | int) or (isinstance(value, float) and isfinite(value))


def _last_bytes(frame: bytes, position: int) -> bytes:
    payload, end = read_bytes(frame, position)
    if end != len(frame):
        raise ProtocolViolation("The frame has bytes behind its end.")
    return payload


@lru_cache(_MAX_HELLOS)
def _hello(access: str, durable: bool, version: int | None) -> list[str]:
    """Return the answer to "hello" before and behind the request's id; nearly all are the same."""
    hello: dict[str, Any] = {"access": access, "server": __version__, "durable": durable}
    if version is not None:
        hello["version"] = version
    return json_frame("hello", request_id=-1, data=hello).split("-1", 1)


def _refusal(action: object, request_id: object, error: str, status: int) -> Reply:
    return Reply(json_frame(action, request_id=request_id, errors=[error], status=status))
