"""One room's part of the relay: publishes to other processes, and receives from them.

The layer may drop, delay, repeat or reorder any message, and is never the only copy. So a process
numbers its messages to a room, sends its progress from time to time (a digest), and answers
questions of processes that lack updates. Remedies:

* A message is lost: the next one, or the digest, shows the gap; the receiver asks by state vector.
* A process is met for the first time: it is asked, as its earlier messages are unknown.
* The layer is cut off, or has forgotten the group: a process that does not receive its own digest
  joins the group again, reads the storage and asks all.
* A process dies: the others store its updates that it has not confirmed to be stored; then they
  read the storage and ask each other, as each may have received other messages.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Coroutine
from math import inf
from typing import Any, Protocol

from collab.engine.relay.layer_channel import LayerChannel, Message
from collab.engine.relay.messages import MESSAGE_TYPE, relay_group
from collab.engine.relay.peer import Peer
from collab.engine.relay.timings import RelayTimings
from collab.engine.rooms.room import Room
from collab.engine.runtime.background import BackgroundTasks
from collab.engine.runtime.counters import counters
from collab.protocol.frames import PresenceState
from collab.protocol.yjs.updates import check, merge
from collab_storage.updates import state_vector

__all__ = ["RoomLink", "Transport"]

#: Questions without an answer after which the storage is read instead.
_MAX_ASKS = 3
#: Bytes of a room's updates that wait for a layer that does not accept them, at most.
_MAX_UNSENT = 1024 * 1024
#: Messages that wait while the document is being loaded, at most.
_MAX_EARLY = 1_000
#: Number of a message that is never sent.
_NEVER = 2**53


class Transport(Protocol):
    """The relay, as a link uses it."""

    #: The channel of this process.
    layer: LayerChannel
    timings: RelayTimings
    #: Slow work for rooms.
    tasks: BackgroundTasks

    def now(self) -> float:
        """Return the event loop's clock."""

    def wake(self, link: RoomLink) -> None:
        """Check the link's clock with the next tick."""

    def schedule(self, link: RoomLink) -> None:
        """Send the link's news."""

    def post(self, message: Message, *, group: str = "", channel: str = "") -> None:
        """Send a message to a group or to one process."""

    async def disconnect(self, link: RoomLink) -> None:
        """Leave the other processes that hold the room."""


class RoomLink:
    """Keeps one room equal to those of the same document in other processes.

    Args:
        relay: of this process.
        name: of the room.
        reread: applies to the room the updates in the storage that it lacks.
    """

    def __init__(
        self, relay: Transport, name: str, reread: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        self.name = name
        self.group = relay_group(name)
        #: Identifies this process for as long as it holds the room.
        self.id = secrets.token_hex(8)
        self.peers: dict[str, Peer] = {}
        self._relay = relay
        self._reread = reread
        #: Set once it is loaded.
        self.room: Room
        self._is_attached = False
        self._early: list[Message] = []
        #: Number of the last message; by message, the number of its updates that are not stored.
        self._number = 0
        self._unstored: dict[int, int] = {}
        #: The content of the next message.
        self._updates: list[bytes] = []
        self._updates_size = 0
        self._present: set[int] = set()
        #: Until when nothing is published while no other process is known to hold the room.
        self._quiet_until = -inf
        #: When to send a digest, and when to send it to processes that are not known, too.
        self._digest_at = 0.0
        self._hail_at = 0.0
        #: When the document changed last, and when its state is sent although it changes.
        self._changed_at = -inf
        self._state_due = -inf
        self._echo_due: float | None = None

    # From the room.

    def attach(self, room: Room) -> None:
        """Begin: the room is loaded. Messages that have arrived meanwhile are received now."""
        self.room, self._is_attached = room, True
        early, self._early = self._early, []
        for message in early:
            self.receive(message)
        self._digest_at = self._hail_at = self._relay.now()
        self._ask_all()

    async def disconnect(self) -> None:
        """End: the room is closed, or could not be loaded."""
        await self._relay.disconnect(self)

    def publish(self, update: bytes) -> Callable[[], None]:
        """Send ``update`` to the other processes; return a function to call when it is stored."""
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
        """Return updates that others have not confirmed to be stored, for this process to store.

        By default all of them, otherwise those that have waited since ``before``.
        """
        peers = self.peers.values()
        return [update for peer in peers for update in peer.take_unconfirmed(before)]

    def _stored(self, number: int) -> None:
        self._unstored[number] -= 1
        if not self._unstored[number]:
            del self._unstored[number]

    def _say_soon(self) -> None:
        """Send the news at once, unless no other process seems to hold the room.

        A process that opens it asks, and gets all of it.
        """
        if self.peers or self._quiet_until <= self._relay.now():
            self._relay.schedule(self)
        else:
            self._relay.wake(self)

    @property
    def has_news(self) -> bool:
        """Whether there is something to publish."""
        return bool(self._updates or self._present)

    @property
    def channels(self) -> set[str]:
        """The channels of the processes that are known to hold the room."""
        return {peer.channel for peer in self.peers.values()}

    # To the others.

    def next_message(self) -> Message:
        """Return the news as one message, or a digest if there are none."""
        if not self.has_news:
            return self._digest()
        self._number += 1
        self._quiet_until = self._relay.now() + 2 * self._relay.timings.patience
        message = self._message("change", number=self._number, stored=self._stored_up_to())
        if self._updates:
            message["update"] = merge(self._updates)
        if self._present:
            message["present"] = self._presence_of(self._present)
        self._updates, self._updates_size, self._present = [], 0, set()
        # A receiver that got none of a burst learns so from the digest behind it.
        self._digest_at = min(self._hail_at, self._relay.now() + 2 * self._relay.timings.patience)
        return message

    def _message(self, kind: str, **fields: Any) -> Message:
        return {
            "type": MESSAGE_TYPE,
            "kind": kind,
            "room": self.name,
            "from": self.id,
            "channel": self._relay.layer.name,
            **fields,
        }

    def _presence_of(self, client_ids: set[int] | None = None) -> list[list[Any]]:
        states = self.room.presence.states(client_ids)
        return [list(state) for state in states]

    def _stored_up_to(self) -> int:
        return min(self._unstored, default=self._number + 1) - 1

    def _held_up_to(self) -> int:
        """Return the number of the message with which all updates of the room are stored.

        Updates that others have not confirmed have no number of this process.
        """
        if any(peer.unconfirmed for peer in self.peers.values()):
            return _NEVER
        return max(self._unstored, default=0)

    def _send_digest(self, now: float) -> None:
        if self.peers and now < self._hail_at:
            self._relay.schedule(self)
            return
        self._hail_at = now + self._relay.timings.digest
        if self._echo_due is None:
            self._echo_due = now + self._relay.timings.timeout
        self._relay.post(self._digest(), group=self.group)

    def _digest(self) -> Message:
        now = self._relay.now()
        self._digest_at = self._hail_at
        state = self._state_to_send(now)
        # Before the storage has confirmed, the digest is out of date soon.
        if self._unstored or state is None:
            self._digest_at = now + 2 * self._relay.timings.patience
        return self._message(
            "digest", number=self._number, stored=self._stored_up_to(), state=state
        )

    def _state_to_send(self, now: float) -> bytes | None:
        """Return the hash of the state, while people type only now and then.

        States differ all the time then, because of updates on their way.
        """
        if now - self._changed_at < self._relay.timings.patience and now < self._state_due:
            return None
        self._state_due = now + self._relay.timings.digest
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
            self._relay.tasks.start(self._reread(), "reread", self.name)
            return
        peer.ask_at = self._relay.now() + 2 * self._relay.timings.patience
        self._relay.post(self._message("ask", state=self.room.state()), channel=peer.channel)

    def say_goodbye(self) -> None:
        """Inform the others that this process has closed the room."""
        self._relay.post(self._message("bye", stored=self._stored_up_to()), group=self.group)

    # From the others.

    def receive(self, message: Message) -> None:
        """Receive a message from the room's group, or sent to this process."""
        if not self._is_attached:
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
                # Its earlier messages are unknown.
                peer.ask_at = 0.0
        peer.heard_at = self._relay.now()
        self._relay.wake(self)
        handle(peer, message)

    def _receive_change(self, peer: Peer, message: Message) -> None:
        number = message["number"]
        peer.receive(number)
        self._await_late(peer)
        if update := message.get("update"):
            self._apply_update(peer, number, update)
        self._apply_presence(peer, message.get("present", ()))
        peer.confirm(message["stored"])

    def _receive_digest(self, peer: Peer, message: Message) -> None:
        peer.confirm(message["stored"])
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
            present=self._presence_of(self.room.presence.local()),
        )
        self._relay.post(answer, channel=peer.channel)
        if _has_more(message["state"], self.room.state()):
            # While people type this is so for a moment; to ask at once would never end.
            peer.claim = message["state"], self._relay.now() + self._relay.timings.patience

    def _receive_answer(self, peer: Peer, message: Message) -> None:
        peer.catch_up(message["number"])
        peer.differs = False
        peer.confirm(message["stored"])
        if not self.room.has(message["update"]):
            counters.relay_repaired_gaps += 1
            self._apply_update(peer, message["held"], message["update"])
        self._apply_presence(peer, message["present"])

    def _receive_bye(self, peer: Peer, message: Message) -> None:
        peer.confirm(message["stored"])
        self._forget(message["from"])

    def _apply_update(self, peer: Peer, number: int, update: bytes) -> None:
        check(update)
        self._changed_at = self._relay.now()
        if number > peer.stored:
            held = peer.unconfirmed.get(number)
            whole = merge([held[0], update]) if held else update
            peer.unconfirmed[number] = (whole, self._relay.now())
        self.room.edit_relayed(update)

    def _apply_presence(self, peer: Peer, states: list[list[Any]]) -> None:
        self.room.presence.receive_relayed(peer, [PresenceState(*state) for state in states])

    def _forget(self, process: str) -> None:
        """Store the unconfirmed updates of a process that has left the room."""
        if self.peers[process].unconfirmed:
            self.room.adopt()
        self.room.presence.drop_relayed(self.peers.pop(process))

    # Clocks.

    def tick(self, now: float) -> bool:
        """Do all work that is due; return whether more is due soon."""
        if not self._is_attached:
            return True
        timings = self._relay.timings
        for process, peer in list(self.peers.items()):
            self._check_gap(peer, now)
            self._check_claim(peer, now)
            if peer.ask_at is not None and peer.ask_at <= now:
                self._ask(peer)
            if now - peer.heard_at > timings.peer:
                self._forget(process)
                self._resync()
        unconfirmed = any(peer.unconfirmed for peer in self.peers.values())
        if unconfirmed:
            self.room.adopt(now - timings.adoption)
        if self.has_news:
            self._say_soon()
        if self._digest_at <= now:
            self._send_digest(now)
        if self._echo_due is not None and self._echo_due <= now:
            # The layer does not deliver this process's own messages, nor others', then.
            self._echo_due = None
            self._relay.tasks.start(self._rejoin(), "rejoin", self.name)
        asking = any(peer.has_question for peer in self.peers.values())
        waits = self.has_news or self._unstored or self._echo_due is not None
        return bool(unconfirmed or asking or waits)

    def _await_late(self, peer: Peer) -> None:
        if peer.has_gap and peer.gap_at is None:
            peer.gap_at = self._relay.now() + self._relay.timings.patience

    def _check_gap(self, peer: Peer, now: float) -> None:
        if peer.gap_at is not None and peer.gap_at <= now:
            peer.gap_at = None
            if peer.has_gap and peer.ask_at is None:
                peer.ask_at = now

    def _check_claim(self, peer: Peer, now: float) -> None:
        if peer.claim is not None and peer.claim[1] <= now:
            state, peer.claim = peer.claim[0], None
            if peer.ask_at is None and _has_more(state, self.room.state()):
                peer.ask_at = now

    def _resync(self) -> None:
        self._relay.tasks.start(self._reread(), "reread", self.name)
        self._ask_all()

    async def _rejoin(self) -> None:
        await self._relay.layer.join(self.group)
        self._digest_at = self._hail_at = 0.0
        self._resync()


def _has_more(state: bytes, than: bytes) -> bool:
    """Return whether a document of state vector ``state`` has insertions that the other lacks."""
    known = state_vector(than)
    return any(clock > known.get(client, 0) for client, clock in state_vector(state).items())
