"""One room's part of the relay: what this process publishes to it, and hears of others.

The layer may drop, delay, repeat or reorder anything, and is never the only copy. So a process
numbers what it publishes to a room, says from time to time how far it has got, and answers who
asks for what he lacks. What helps against what:

* A message is lost: the next one, or the digest, shows the gap; the receiver asks by state vector.
* A process is met for the first time: it is asked, as what it had published is unknown.
* The layer is cut off, or has forgotten the group: a process that does not hear its own digest
  joins the group again, reads the storage and asks all.
* A process dies: what it had published but did not say it stored, the others store; then they
  read the storage and ask each other, as one may have heard what another has not.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from math import inf
from typing import Any, Protocol

from collab.conf import Settings
from collab.engine.rooms.room import Room
from collab.engine.runtime.counters import counters
from collab.protocol.frames import PresenceState
from collab.protocol.yjs.updates import check, merge
from collab_storage.updates import state_vector

__all__ = ["MESSAGE_TYPE", "Message", "Peer", "RoomLink", "Transport", "relay_group"]

#: The layer hands messages to consumers by their type; the relay reads its own channel.
MESSAGE_TYPE = "collab.engine.relay.relay"
#: Time for a late message to fill a gap, and for an answer, before (another) question.
_PATIENCE = 0.5
#: Questions without an answer after which the storage is read instead.
_MAX_ASKS = 3
#: Bytes of a room's updates that wait for a layer that does not take them.
_MAX_UNSENT = 1024 * 1024
#: Messages that wait while the document is being loaded.
_MAX_EARLY = 1_000
#: Number of a message that is never sent.
_NEVER = 2**53

Message = dict[str, Any]


class Transport(Protocol):
    """What a link needs of the relay."""

    settings: Settings
    #: Of this process.
    channel: str

    def now(self) -> float:
        """Return the event loop's clock."""

    def wake(self, link: RoomLink) -> None:
        """Look at the link's clock with the next tick."""

    def schedule(self, link: RoomLink) -> None:
        """Send what the link has to publish."""

    def post(self, message: Message, *, group: str = "", channel: str = "") -> None:
        """Send a message to a group or to one process."""

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something slow."""

    async def join_group(self, link: RoomLink) -> None:
        """Let messages of the room's group come to this process."""

    async def disconnect(self, link: RoomLink) -> None:
        """Leave the other processes that hold the room."""


def relay_group(room_name: str) -> str:
    """Return the group in which the processes meet that hold a room."""
    return f"collab.engine.relay.relay.{hashlib.sha256(room_name.encode()).hexdigest()}"


@dataclass(eq=False)
class Peer:
    """Another process that holds the room; owns the presence that came from it."""

    channel: str
    heard_at: float
    user_id: str | None = None
    #: It has sent so many messages, as far as is known. All up to this number have arrived, and
    #: some beyond it.
    sent: int = 0
    seen: int = 0
    ahead: set[int] = field(default_factory=set)
    #: Up to which number its updates are stored, as it says; and those beyond, by number.
    stored: int = 0
    unconfirmed: dict[int, tuple[bytes, float]] = field(default_factory=dict)
    #: When to ask it, and how often it has been asked in vain.
    ask_at: float | None = None
    asks: int = 0
    #: When to see whether what was missing has come late.
    gap_at: float | None = None
    differs: bool = False
    #: A state in which it has more than this process, unless that is on its way, and when to see.
    claim: tuple[bytes, float] | None = None

    @property
    def is_waited_for(self) -> bool:
        """There is, or may soon be, something to ask it."""
        return self.ask_at is not None or self.gap_at is not None or self.claim is not None

    @property
    def lacks(self) -> bool:
        """Some of what it has sent has not arrived."""
        return self.seen < self.sent

    def count(self, number: int) -> None:
        """Note that the message of that number has arrived, which may be so already."""
        self.sent = max(self.sent, number)
        if number > self.seen:
            self.ahead.add(number)
        while self.seen + 1 in self.ahead:
            self.seen += 1
            self.ahead.discard(self.seen)

    def catch_up(self, number: int) -> None:
        """Note that all up to that number is known."""
        self.seen = max(self.seen, number)
        self.ahead = {ahead for ahead in self.ahead if ahead > self.seen}
        self.count(self.seen)
        self.ask_at, self.asks = None, 0
        if self.lacks:
            self.ask_at = 0.0


class RoomLink:
    """One room, as the relay knows it.

    Args:
        relay: of this process.
        name: of the room.
        reread: takes into the room what the storage has.
    """

    def __init__(
        self, relay: Transport, name: str, reread: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        self.name = name
        self.group = relay_group(name)
        #: Names this process for as long as it holds the room.
        self.id = secrets.token_hex(8)
        self.peers: dict[str, Peer] = {}
        self._relay = relay
        self._reread = reread
        self._room: Room | None = None
        self._early: list[Message] = []
        #: Number of the last message, and of those whose updates are not stored how many.
        self._number = 0
        self._unstored: dict[int, int] = {}
        #: What the next message will hold.
        self._updates: list[bytes] = []
        self._updates_size = 0
        self._present: set[int] = set()
        #: Until when nothing is said if nobody is known to hold the room, too.
        self._quiet_until = -inf
        #: When to tell how far the room has got, and when to tell it processes that are not known.
        self._digest_at = 0.0
        self._hail_at = 0.0
        #: When the document changed last, and until when its state is told although it does.
        self._changed_at = -inf
        self._state_due = -inf
        self._echo_due: float | None = None
        #: When to join the group again, before the layer forgets that this process is in it.
        self.join_at = 0.0

    # From the room.

    def attach(self, room: Room) -> None:
        """Begin: the room is loaded. What has come meanwhile is taken in."""
        self._room = room
        early, self._early = self._early, []
        for message in early:
            self.receive(message)
        self._digest_at = self._hail_at = self._relay.now()
        self._ask_all()

    async def disconnect(self) -> None:
        """End: the room is closed, or could not be loaded."""
        await self._relay.disconnect(self)

    def publish(self, update: bytes) -> Callable[[], None]:
        """Send ``update`` to the other processes; call what is returned when it is stored."""
        self.publish_stored(update)
        number = self._number + 1
        self._unstored[number] = self._unstored.get(number, 0) + 1
        return lambda: self._stored(number)

    def publish_stored(self, update: bytes) -> None:
        """Send an update to the other processes that is stored already."""
        self._changed_at = self._relay.now()
        self._updates.append(update)
        self._updates_size += len(update)
        if self._updates_size > _MAX_UNSENT:
            # The layer is stuck. A number that is never sent makes the others ask.
            self._number += 1
            self._updates, self._updates_size = [], 0
        self._say_soon()

    def publish_presence(self, client_ids: set[int]) -> None:
        """Send the newest presence of these client ids to the other processes."""
        self._present |= client_ids
        self._say_soon()

    def adopt(self, before: float | None = None) -> list[bytes]:
        """Take over the storing of what others have not confirmed, by default all of it."""
        adopted = []
        for peer in self.peers.values():
            for number, (update, at) in list(peer.unconfirmed.items()):
                if before is None or at < before:
                    adopted.append(update)
                    del peer.unconfirmed[number]
        return adopted

    def _stored(self, number: int) -> None:
        self._unstored[number] -= 1
        if not self._unstored[number]:
            del self._unstored[number]

    def _say_soon(self) -> None:
        """Send what there is to say: at once, unless nobody else seems to hold the room.

        Who opens it asks, and is told all there is.
        """
        if self.peers or self._quiet_until <= self._relay.now():
            self._relay.schedule(self)
        else:
            self._relay.wake(self)

    @property
    def has_news(self) -> bool:
        """There is something to say."""
        return bool(self._updates or self._present)

    @property
    def channels(self) -> set[str]:
        """Those of the processes that are known to hold the room."""
        return {peer.channel for peer in self.peers.values()}

    @property
    def room(self) -> Room:
        """The room, once it is loaded."""
        assert self._room is not None
        return self._room

    # To the others.

    def next_message(self) -> Message:
        """Return what there is to publish now, as one message, or how far the room has got."""
        if not self.has_news:
            return self._digest()
        self._number += 1
        self._quiet_until = self._relay.now() + 2 * _PATIENCE
        message = self._message("change", number=self._number, stored=self._stored_up_to())
        if self._updates:
            message["update"] = merge(self._updates)
        if self._present:
            message["present"] = self._presence_of(self._present)
        self._updates, self._updates_size, self._present = [], 0, set()
        # A receiver that got none of a burst learns so from the digest behind it.
        self._digest_at = min(self._hail_at, self._relay.now() + 2 * _PATIENCE)
        return message

    def _message(self, kind: str, **fields: Any) -> Message:
        return {
            "type": MESSAGE_TYPE,
            "kind": kind,
            "room": self.name,
            "from": self.id,
            "channel": self._relay.channel,
            **fields,
        }

    def _presence_of(self, client_ids: set[int] | None = None) -> list[list[Any]]:
        states = self.room.presence.states(client_ids)
        return [list(state) for state in states]

    def _stored_up_to(self) -> int:
        return min(self._unstored, default=self._number + 1) - 1

    def _held_up_to(self) -> int:
        """Return the number of the message with which all that the room holds is stored.

        What others have not confirmed comes with no number of ours.
        """
        if any(peer.unconfirmed for peer in self.peers.values()):
            return _NEVER
        return max(self._unstored, default=0)

    def _send_digest(self, now: float) -> None:
        if self.peers and now < self._hail_at:
            self._relay.schedule(self)
            return
        self._hail_at = now + self._relay.settings.RELAY_DIGEST_INTERVAL
        if self._echo_due is None:
            self._echo_due = now + self._relay.settings.RELAY_TIMEOUT
        self._relay.post(self._digest(), group=self.group)

    def _digest(self) -> Message:
        now = self._relay.now()
        self._digest_at = self._hail_at
        state = self._state_to_tell(now)
        # Before the storage has confirmed, the digest is out of date soon.
        if self._unstored or state is None:
            self._digest_at = now + 2 * _PATIENCE
        return self._message(
            "digest", number=self._number, stored=self._stored_up_to(), state=state
        )

    def _state_to_tell(self, now: float) -> bytes | None:
        """Return what states are compared by, but while people type only now and then.

        Theirs differ all the time then, because of what is on its way.
        """
        if now - self._changed_at < _PATIENCE and now < self._state_due:
            return None
        self._state_due = now + self._relay.settings.RELAY_DIGEST_INTERVAL
        return self._state_hash()

    def _state_hash(self) -> bytes:
        clocks = sorted(state_vector(self.room.state()).items())
        return hashlib.sha256(repr(clocks).encode()).digest()[:8]

    def _ask_all(self) -> None:
        self._relay.post(self._message("ask", state=self.room.state()), group=self.group)

    def _ask(self, peer: Peer) -> None:
        peer.asks += 1
        if peer.asks > _MAX_ASKS:
            peer.ask_at, peer.asks = None, 0
            self._relay.start(self._reread())
            return
        peer.ask_at = self._relay.now() + 2 * _PATIENCE
        self._relay.post(self._message("ask", state=self.room.state()), channel=peer.channel)

    def say_goodbye(self) -> None:
        """Tell the others that this process has closed the room."""
        self._relay.post(self._message("bye", stored=self._stored_up_to()), group=self.group)

    # From the others.

    def receive(self, message: Message) -> None:
        """Take a message from the room's group, or sent to this process."""
        if self._room is None:
            if len(self._early) < _MAX_EARLY:
                self._early.append(message)
            return
        if message["from"] == self.id:
            self._echo_due = None
            return
        handle = getattr(self, f"_receive_{message['kind']}")
        peer = self.peers.get(message["from"])
        if peer is None:
            peer = self.peers[message["from"]] = Peer(message["channel"], self._relay.now())
            if message["kind"] != "bye":
                # What it has published before is unknown.
                peer.ask_at = 0.0
        peer.heard_at = self._relay.now()
        self._relay.wake(self)
        handle(peer, message)

    def _receive_change(self, peer: Peer, message: Message) -> None:
        number = message["number"]
        peer.count(number)
        self._await_late(peer)
        if update := message.get("update"):
            self._take_update(peer, number, update)
        self._take_presence(peer, message.get("present", ()))
        self._confirm(peer, message["stored"])

    def _receive_digest(self, peer: Peer, message: Message) -> None:
        self._confirm(peer, message["stored"])
        peer.sent = max(peer.sent, message["number"])
        self._await_late(peer)
        if message["state"] is None:
            return
        # While people type the states differ for a moment; the same twice is a difference.
        differs = message["state"] != self._state_hash()
        if differs and peer.differs and peer.ask_at is None:
            peer.ask_at = 0.0
        peer.differs = differs

    def _receive_ask(self, peer: Peer, message: Message) -> None:
        answer = self._message(
            "answer",
            number=self._number,
            stored=self._stored_up_to(),
            held=self._held_up_to(),
            update=self.room.encode(message["state"]),
            state=self.room.state(),
            present=self._presence_of(self.room.local_presence()),
        )
        self._relay.post(answer, channel=peer.channel)
        if _has_more(message["state"], self.room.state()):
            # While people type this is so for a moment; to ask at once would never end.
            peer.claim = message["state"], self._relay.now() + _PATIENCE

    def _receive_answer(self, peer: Peer, message: Message) -> None:
        peer.catch_up(message["number"])
        peer.differs = False
        self._confirm(peer, message["stored"])
        if not self.room.has(message["update"]):
            counters.relay_repaired_gaps += 1
            self._take_update(peer, message["held"], message["update"])
        self._take_presence(peer, message["present"])

    def _receive_bye(self, peer: Peer, message: Message) -> None:
        self._confirm(peer, message["stored"])
        self._forget(message["from"])

    def _take_update(self, peer: Peer, number: int, update: bytes) -> None:
        check(update)
        self._changed_at = self._relay.now()
        if number > peer.stored:
            held = peer.unconfirmed.get(number)
            whole = merge([held[0], update]) if held else update
            peer.unconfirmed[number] = (whole, self._relay.now())
        self.room.edit_relayed(update)

    def _take_presence(self, peer: Peer, states: list[list[Any]]) -> None:
        self.room.receive_relayed_presence(peer, [PresenceState(*state) for state in states])

    def _confirm(self, peer: Peer, stored: int) -> None:
        peer.stored = max(peer.stored, stored)
        peer.unconfirmed = {
            number: update for number, update in peer.unconfirmed.items() if number > peer.stored
        }

    def _forget(self, process: str) -> None:
        """A process has left the room: what it has not stored is ours to store."""
        if self.peers[process].unconfirmed:
            self.room.adopt()
        self.room.drop_relayed_presence(self.peers.pop(process))

    # Clocks.

    def tick(self, now: float) -> bool:
        """Do what is due; return whether more is due soon."""
        if self._room is None:
            return True
        settings = self._relay.settings
        for process, peer in list(self.peers.items()):
            self._check_gap(peer, now)
            self._check_claim(peer, now)
            if peer.ask_at is not None and peer.ask_at <= now:
                self._ask(peer)
            if now - peer.heard_at > settings.RELAY_PEER_TIMEOUT:
                self._forget(process)
                self._resync()
        unconfirmed = any(peer.unconfirmed for peer in self.peers.values())
        if unconfirmed:
            self._room.adopt(now - settings.RELAY_TIMEOUT)
        if self.has_news:
            self._say_soon()
        if self._digest_at <= now:
            self._send_digest(now)
        if self.join_at <= now:
            self._relay.start(self._relay.join_group(self))
        if self._echo_due is not None and self._echo_due <= now:
            # The layer does not bring our own messages back: nor those of the others, then.
            self._echo_due = None
            self._relay.start(self._rejoin())
        asking = any(peer.is_waited_for for peer in self.peers.values())
        waits = self.has_news or self._unstored or self._echo_due is not None
        return bool(unconfirmed or asking or waits)

    def _await_late(self, peer: Peer) -> None:
        if peer.lacks and peer.gap_at is None:
            peer.gap_at = self._relay.now() + _PATIENCE

    def _check_gap(self, peer: Peer, now: float) -> None:
        if peer.gap_at is not None and peer.gap_at <= now:
            peer.gap_at = None
            if peer.lacks and peer.ask_at is None:
                peer.ask_at = now

    def _check_claim(self, peer: Peer, now: float) -> None:
        if peer.claim is not None and peer.claim[1] <= now:
            state, peer.claim = peer.claim[0], None
            if peer.ask_at is None and _has_more(state, self.room.state()):
                peer.ask_at = now

    def _resync(self) -> None:
        self._relay.start(self._reread())
        self._ask_all()

    async def _rejoin(self) -> None:
        await self._relay.join_group(self)
        self._digest_at = self._hail_at = 0.0
        self._resync()


def _has_more(state: bytes, than: bytes) -> bool:
    """Tell whether a document of state vector ``state`` has insertions that the other lacks."""
    known = state_vector(than)
    return any(clock > known.get(client, 0) for client, clock in state_vector(state).items())
