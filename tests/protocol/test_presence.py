from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from collab.exceptions import ProtocolViolation
from collab.protocol.frames import GONE, PresenceState, presence_frame
from collab.protocol.presence import Presence, TooManyClients, Verdict

HERE, THERE = '{"cursor":1}', '{"cursor":2}'


@dataclass(eq=False)
class Owner:
    user_id: str | None = None
    verified: str = ""


def state(client_id: int = 7, clock: int = 1, text: str = HERE) -> PresenceState:
    return PresenceState(client_id, clock, text)


def receive(presence: Presence, owner: Owner, *states: PresenceState, now: float = 0) -> set[int]:
    """Return which client ids changed; nothing may be outdated."""
    verdict = presence.receive(owner, list(states), now)
    assert verdict.outdated == []
    return verdict.changed


@pytest.fixture
def presence() -> Presence:
    return Presence(max_clients=3)


# One member.


def test_presence_is_empty_at_first(presence: Presence) -> None:
    assert not presence
    assert presence.states() == []


def test_a_member_is_present_with_its_newest_state(presence: Presence) -> None:
    ann = Owner()
    assert receive(presence, ann, state(clock=1)) == {7}
    assert receive(presence, ann, state(clock=5, text=THERE)) == {7}
    assert presence.states() == [state(clock=5, text=THERE)]
    assert presence


@pytest.mark.parametrize("clock", [4, 5])
def test_a_state_that_is_not_newer_changes_nothing(presence: Presence, clock: int) -> None:
    ann = Owner()
    receive(presence, ann, state(clock=5))
    assert receive(presence, ann, state(clock=clock, text=THERE)) == set()
    assert presence.states() == [state(clock=5)]


@pytest.mark.parametrize("clock", [5, 6])
def test_a_member_that_says_goodbye_is_gone(presence: Presence, clock: int) -> None:
    ann = Owner()
    receive(presence, ann, state(clock=5))
    assert receive(presence, ann, state(clock=clock, text=GONE)) == {7}
    assert not presence
    assert presence.states([7]) == [state(clock=clock, text=GONE)]


def test_an_old_goodbye_is_ignored(presence: Presence) -> None:
    ann = Owner()
    receive(presence, ann, state(clock=5))
    assert receive(presence, ann, state(clock=4, text=GONE)) == set()
    assert presence.states() == [state(clock=5)]


def test_the_goodbye_of_one_who_was_never_there_is_ignored(presence: Presence) -> None:
    assert receive(presence, Owner(), state(text=GONE)) == set()
    assert not presence


def test_a_member_that_leaves_removes_all_states_that_came_through_it(presence: Presence) -> None:
    ann, bob = Owner(), Owner()
    receive(presence, ann, state(1), state(2))
    receive(presence, bob, state(3))
    assert presence.leave(ann) == {1, 2}
    assert presence.states() == [state(3)]
    assert presence.leave(ann) == set()


def test_a_member_may_own_a_limited_number_of_client_ids(presence: Presence) -> None:
    ann = Owner()
    with pytest.raises(ProtocolViolation):
        presence.receive(ann, [state(number) for number in range(4)], 0)
    # Those it had already stay its own, and go with it.
    assert presence.leave(ann) == {0, 1, 2}


def test_a_client_id_that_left_makes_room_for_another(presence: Presence) -> None:
    ann = Owner()
    receive(presence, ann, state(1), state(2), state(3))
    receive(presence, ann, state(1, 2, GONE))
    assert receive(presence, ann, state(4)) == {4}


# Renewal.


def test_a_state_that_is_not_renewed_expires(presence: Presence) -> None:
    ann, bob = Owner(), Owner()
    receive(presence, ann, state(1, 1), now=10)
    receive(presence, bob, state(2, 1), now=10)
    receive(presence, bob, state(2, 2), now=20)
    assert presence.expire(before=20) == {1}
    assert presence.states() == [state(2, 2)]


def test_a_sleeper_that_comes_back_is_present_again(presence: Presence) -> None:
    ann = Owner()
    receive(presence, ann, state(clock=1), now=10)
    presence.expire(before=20)
    assert receive(presence, ann, state(clock=2), now=30) == {7}
    assert presence.states() == [state(clock=2)]


def test_one_that_returns_with_an_old_clock_hears_that_it_has_gone(presence: Presence) -> None:
    # It then starts a newer clock, as y-protocols does; the others have seen this one.
    receive(presence, Owner(), state(clock=5, text=GONE))
    ann = Owner()
    receive(presence, ann, state(clock=5))
    presence.leave(ann)
    verdict = presence.receive(Owner(), [state(clock=5, text=THERE)], 0)
    assert verdict == Verdict(set(), [state(clock=5, text=GONE)])
    assert receive(presence, Owner(), state(clock=6, text=THERE)) == {7}


def test_an_old_goodbye_of_one_that_has_gone_is_not_answered(presence: Presence) -> None:
    ann = Owner()
    receive(presence, ann, state(clock=5))
    presence.leave(ann)
    assert receive(presence, Owner(), state(clock=5, text=GONE)) == set()


def test_memory_of_those_who_left_is_bounded(presence: Presence) -> None:
    for client_id in range(3_000):
        ann = Owner()
        receive(presence, ann, state(client_id))
        presence.leave(ann)
    # The last are remembered, the first are not.
    assert presence.states([2_999]) == [state(2_999, text=GONE)]
    assert receive(presence, Owner(), state(0)) == {0}


# Others' client ids.


def test_an_echo_of_others_does_not_make_them_the_senders(presence: Presence) -> None:
    ann, bob = Owner(), Owner()
    receive(presence, ann, state(1))
    receive(presence, bob, state(2))
    assert receive(presence, bob, state(1, 9, THERE), state(2, 2)) == {2}
    assert presence.leave(bob) == {2}
    assert presence.states() == [state(1)]


@pytest.mark.parametrize("user_id", [None, "bob"])
def test_a_member_cannot_remove_another_users_cursor(
    presence: Presence, user_id: str | None
) -> None:
    receive(presence, Owner("ann"), state(1))
    bob = Owner(user_id)
    assert receive(presence, bob, state(1, 9, GONE)) == set()
    assert receive(presence, bob, state(1, 9, THERE)) == set()
    assert presence.states() == [state(1)]


def test_a_users_second_connection_takes_over_from_one_that_may_be_dead(
    presence: Presence,
) -> None:
    dead, alive = Owner("ann"), Owner("ann")
    receive(presence, dead, state(1, 5))
    receive(presence, alive, state(1, 6, THERE))
    assert presence.leave(dead) == set()
    assert presence.states() == [state(1, 6, THERE)]


def test_a_take_over_with_the_same_clock_is_no_news(presence: Presence) -> None:
    dead, alive = Owner("ann"), Owner("ann")
    receive(presence, dead, state(1, 5))
    assert receive(presence, alive, state(1, 5)) == set()
    assert presence.leave(dead) == set()
    assert presence.leave(alive) == {1}


def test_a_state_that_came_as_an_echo_is_claimed_by_its_client(presence: Presence) -> None:
    # Two tabs of a browser tell each other; either may be the first that the server hears.
    bob, ann = Owner(), Owner()
    receive(presence, bob, state(2), state(1))
    assert receive(presence, ann, state(1, 2)) == {1}
    assert presence.leave(bob) == {2}


# All of it, against a model.


@dataclass
class Model:
    clock: int
    text: str
    owner: Owner
    seen_at: float


class PresenceMachine(RuleBasedStateMachine):
    """The broadcasts, put together as a client does, are what the room holds."""

    @initialize()
    def start(self) -> None:
        self.presence = Presence(max_clients=2)
        self.owners = [Owner(), Owner("ann"), Owner("ann"), Owner("bob")]
        #: What a client that hears every change would show.
        self.shown: dict[int, tuple[int, str]] = {}
        self.seen_at: dict[int, float] = {}
        self.now = 0.0

    def tell(self, changed: set[int]) -> None:
        for client_id, clock, text in self.presence.states(changed):
            old_clock, old_text = self.shown.get(client_id, (-1, GONE))
            # y-protocols takes a newer clock, and a removal of the same clock.
            assert clock > old_clock or (clock == old_clock and text == GONE != old_text)
            self.shown[client_id] = clock, text

    @rule(
        owner=st.integers(0, 3),
        states=st.lists(
            st.builds(
                PresenceState,
                st.integers(1, 4),
                st.integers(0, 6),
                st.sampled_from([HERE, THERE, GONE]),
            ),
            min_size=1,
            max_size=3,
        ),
    )
    def receive(self, owner: int, states: list[PresenceState]) -> None:
        try:
            verdict = self.presence.receive(self.owners[owner], states, self.now)
        except TooManyClients as error:
            # Its connection ends.
            self.tell(error.changed)
            self.leave(owner)
            return
        self.tell(verdict.changed)
        for client_id in verdict.changed:
            self.seen_at[client_id] = self.now
        assert all(text == GONE for _, _, text in verdict.outdated)

    @rule(owner=st.integers(0, 3))
    def leave(self, owner: int) -> None:
        gone = self.presence.leave(self.owners[owner])
        assert len(gone) <= 2
        self.tell(gone)
        assert self.presence.leave(self.owners[owner]) == set()

    @rule(pause=st.floats(0, 2))
    def pass_time(self, pause: float) -> None:
        self.now += pause
        gone = self.presence.expire(self.now - 2)
        assert all(self.seen_at[client_id] < self.now - 2 for client_id in gone)
        self.tell(gone)

    @invariant()
    def a_newcomer_sees_what_the_others_see(self) -> None:
        if hasattr(self, "presence"):
            shown = {
                client_id: (clock, text)
                for client_id, (clock, text) in self.shown.items()
                if text != GONE
            }
            newcomer = {id: (clock, text) for id, clock, text in self.presence.states()}
            assert newcomer == shown


TestPresenceMachine: Any = PresenceMachine.TestCase
TestPresenceMachine.settings = settings(max_examples=60, stateful_step_count=25)


# Words of the server.


def test_the_word_of_the_server_goes_with_the_owner_of_a_client_id(presence: Presence) -> None:
    first, second = Owner("ann", '{"name":"Ann"}'), Owner("ann", '{"name":"Ann Lee"}')
    receive(presence, first, state(clock=5))
    assert presence.states() == [state(clock=5, text='{"verified":{"name":"Ann"},"cursor":1}')]
    # A new connection of the same client, which repeats what others have seen.
    receive(presence, second, state(clock=5))
    taken = '{"verified":{"name":"Ann Lee"},"cursor":1}'
    assert presence.states() == [state(clock=5, text=taken)]
    assert presence.frame() == presence_frame([state(clock=5, text=taken)])


def test_another_process_has_added_its_word_already(presence: Presence) -> None:
    peer, ann = Owner("ann"), Owner("ann", '{"name":"Ann Lee"}')
    relayed = state(clock=5, text='{"verified":{"name":"Ann"},"cursor":1}')
    presence.receive(peer, [relayed], 0, trusted=True)
    assert presence.states() == [relayed]
    receive(presence, ann, state(clock=5))
    (taken,) = presence.states()
    assert json.loads(taken.state) == {"verified": {"name": "Ann Lee"}, "cursor": 1}
