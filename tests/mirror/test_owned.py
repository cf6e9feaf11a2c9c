"""Owners see their rows in full, others in part; what is hidden is nowhere in what others get."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from channels.routing import URLRouter
from django.contrib.auth.models import AnonymousUser, User
from django.core.management import call_command
from django.db import transaction
from django.urls import path
from pycrdt import Map, Text

from collab import documents
from collab.access import Access
from collab.consumers import YjsConsumer
from collab.mirror import ModelMirror, OwnRowsMirror, is_own_or_shared, reconcile, split_room_name
from collab.mirror.incoming.client_changes import check
from collab.mirror.incoming.row_edits import Author, Outcome, RowEdit
from collab.mirror.models import MirroredRow
from collab.mirror.rows.values import Odd, plain, take_row
from collab.testing import ConnectionClosed, connect
from collab_storage.models import Document, Update
from tests.mirror.databases import kept_in, on_both
from tests.rows.mirrors import CardMirror
from tests.rows.models import Board, Card

#: Is in all values that others may not see.
MARKER = "for-own-eyes"


class World:
    """A board of ann and bob, whose documents are there."""

    def __init__(self) -> None:
        self.board = Board.objects.create(name="b")
        self.ann, self.bob = (User.objects.create(username=name) for name in ("ann", "bob"))
        self.shared = f"cards-{self.board.pk}"
        self.anns, self.bobs = (f"{self.shared}~{user.pk}" for user in (self.ann, self.bob))
        for name in self.names:
            assert reconcile(name)

    @property
    def names(self) -> list[str]:
        return [self.shared, self.anns, self.bobs]

    def card(self, **values: Any) -> Card:
        secret: Any = {"diary": f"{MARKER} 1", "salary": f"{MARKER} 2"}
        return Card.objects.create(
            **{"board": self.board, "owner": self.ann, "title": "Paint"} | secret | values
        )

    def change(self, name: str, card: Card | str, user: Any, **values: Any) -> Outcome:
        """Change a card in a document as ``user``, and have it checked."""
        key = card if isinstance(card, str) else str(card.pk)
        with documents.edit(name) as doc:
            rows = doc.get("cards", type=Map)
            row = rows.get(key)
            if row is None:
                rows[key] = Map(values)
            else:
                row.update(values)
            now = take_row(rows, key, CardMirror.text_fields)
        fields = {"": Author(user)} if row is None else dict.fromkeys(values, Author(user))
        return check(name, [RowEdit("cards", key, now, fields)])

    def remove(self, name: str, card: Card, user: Any) -> Outcome:
        with documents.edit(name) as doc:
            del doc.get("cards", type=Map)[str(card.pk)]
        return check(name, [RowEdit("cards", str(card.pk), Odd.MISSING, {"": Author(user)})])


@pytest.fixture
def world(using: str) -> Iterator[World]:
    with kept_in(using):
        yield World()


def cards(name: str) -> dict[str, dict[str, Any]]:
    """Return the cards in a document, by their titles."""
    found = documents.read(name).get("cards", type=Map).to_py() if documents.exists(name) else {}
    return {row["title"]: row for row in plain(found or {}).values()}


def stored(name: str) -> bytes:
    """Return all bytes that are stored of a document, history included, and of its rows."""
    found = [documents.read(name).get_update()] if documents.exists(name) else []
    snapshots = Document.objects.filter(name=name).values_list("snapshot", flat=True)
    log = Update.objects.filter(document__name=name).values_list("data", flat=True)
    found += [bytes(data or b"") for data in [*snapshots, *log]]
    rows = MirroredRow.objects.filter(document__name=name)
    return b"".join([*found, json.dumps(list(rows.values_list("values", flat=True))).encode()])


def statuses(outcome: Outcome) -> dict[str, int]:
    return {
        name: problem.status
        for refusal in outcome.refusals
        for name, problem in refusal.problems.items()
    }


IN_PART = {"id", "title", "done"}
IN_FULL = {*IN_PART, "diary", "salary"}


@on_both
def test_part_of_a_row_and_all_of_it_are_there_side_by_side(world: World) -> None:
    world.card()
    world.card(owner=None, title="Sweep")
    assert {title: set(row) for title, row in cards(world.shared).items()} == {
        "Paint": IN_PART,
        "Sweep": IN_PART,
    }
    assert {title: set(row) for title, row in cards(world.anns).items()} == {"Paint": IN_FULL}
    assert cards(world.bobs) == {}


@on_both
def test_a_row_of_another_owner_moves(world: World) -> None:
    card = world.card()
    card.owner = world.bob
    card.save()
    assert (list(cards(world.anns)), list(cards(world.bobs))) == ([], ["Paint"])
    assert cards(world.bobs)["Paint"]["diary"] == f"{MARKER} 1"
    card.salary = "after ann"
    card.save()
    assert b"after ann" in stored(world.bobs)
    assert b"after ann" not in stored(world.anns)
    Card.objects.update(owner=world.ann)
    assert (list(cards(world.anns)), list(cards(world.bobs))) == (["Paint"], [])
    assert list(cards(world.shared)) == ["Paint"]
    world.ann.delete()
    assert (cards(world.anns), list(cards(world.shared))) == ({}, ["Paint"])


@on_both
@pytest.mark.parametrize("is_opened_late", [False, True])
def test_nothing_hidden_is_ever_in_what_others_get(world: World, is_opened_late: bool) -> None:
    if is_opened_late:
        documents.delete(world.shared)
    card, gone = world.card(), world.card(title="Gone")
    for number in range(3):
        card.diary, card.salary, card.title = f"{MARKER} {number}", MARKER, f"Paint {number}"
        card.save()
    Card.objects.bulk_create([Card(board=world.board, title="Many", salary=MARKER)])
    with transaction.atomic():
        Card.objects.update(owner=world.bob, diary=MARKER)
        card.refresh_from_db()
        card.owner = world.ann
        card.save(update_fields=["owner"])
    gone.delete()
    refused = world.change(world.shared, card, world.bob, salary="guess", nothing="guess")
    assert statuses(refused) == {"salary": 400, "nothing": 400}
    refused = world.change(world.shared, card, world.ann, title="guess", board=0)
    assert statuses(refused) == {"title": 403, "board": 400}
    assert not statuses(world.change(world.anns, card, world.ann, salary=f"{MARKER} typed"))
    assert not statuses(world.change(world.shared, card, world.bob, done=True))
    assert reconcile(world.shared)
    shown = cards(world.shared)
    assert shown == {"Paint 2": {"id": card.pk, "title": "Paint 2", "done": True}} | {
        "Many": shown["Many"]
    }
    assert MARKER.encode() in stored(world.anns)
    assert MARKER.encode() not in stored(world.shared)
    call_command("collab_compact", world.shared, verbosity=0)
    assert MARKER.encode() not in stored(world.shared)
    card.refresh_from_db()
    assert (card.salary, card.done) == (f"{MARKER} typed", True)


@on_both
def test_only_owners_change_their_rows(world: World) -> None:
    card = world.card()
    assert statuses(world.change(world.anns, card, world.bob, salary="9")) == {"salary": 403}
    assert cards(world.anns)["Paint"]["salary"] == f"{MARKER} 2"
    assert not statuses(world.change(world.anns, card, world.ann, salary="9", title="Blue"))
    assert list(cards(world.shared)) == ["Blue"]
    assert not statuses(world.change(world.shared, card, world.bob, done=True))
    assert cards(world.anns)["Blue"]["done"] is True


@on_both
def test_only_owners_add_and_remove_their_rows(world: World) -> None:
    outcome = world.change(world.anns, str(uuid4()), world.ann, title="New", salary=MARKER)
    assert not outcome.refusals
    card = Card.objects.get()
    assert (card.owner, card.salary, set(cards(world.shared)["New"])) == (
        world.ann,
        MARKER,
        IN_PART,
    )
    outcome = world.change(world.anns, str(uuid4()), world.bob, title="Not his document")
    assert statuses(outcome) == {"": 403}
    outcome = world.change(world.shared, str(uuid4()), world.bob, done=True, salary="9")
    assert statuses(outcome) == {"salary": 400}
    assert Card.objects.get(owner=world.bob).salary == ""
    for name in (world.shared, world.anns):
        assert statuses(world.remove(name, card, world.bob)) == {"": 403}
    assert set(cards(world.anns)) == {"New"}
    assert not world.remove(world.shared, card, world.ann).refusals
    assert cards(world.anns) == {}


# Names.


def test_the_name_of_an_owners_document_says_whose_it_is() -> None:
    assert split_room_name("board-1") == ("board-1", None)
    assert split_room_name("board-1~7") == ("board-1", "7")
    assert split_room_name("board-1~7~8") == ("board-1", "7~8")
    assert split_room_name("board-1~") == ("board-1", "")


def test_documents_of_owners_are_for_their_owners() -> None:
    ann = User(pk=7)
    assert is_own_or_shared("board-1", ann)
    assert is_own_or_shared("board-1~7", ann)
    assert not is_own_or_shared("board-1~8", ann)
    assert not is_own_or_shared("board-1~7~", ann)
    assert is_own_or_shared("board-1", AnonymousUser())
    assert not is_own_or_shared("board-1~None", AnonymousUser())


@pytest.mark.parametrize("owner", ["", "07", "+7", "x", "7~7", "None", "7 "])
def test_there_is_one_name_for_each_owner(owner: str) -> None:
    mirror = CardMirror(Card)
    assert mirror.get_queryset("cards-1~7") is not None
    assert mirror.get_queryset(f"cards-1~{owner}") is None


def test_documents_of_other_models_have_no_owners() -> None:
    assert CardMirror(Card).get_queryset("board-1~7") is None


def test_a_shared_document_cannot_be_taken_for_an_owners() -> None:
    class Tilde(CardMirror):
        def get_shared_room_names(self, instance: Card) -> list[str]:
            return ["fine", "team~7"]

    with pytest.raises(ValueError, match="'team~7'"):
        Tilde(Card).get_room_names(Card())


def test_an_owner_is_named_as_the_database_does() -> None:
    mirror = CardMirror(Card)
    assert mirror.get_room_names(Card(board_id=1, owner_id="07")) == ["cards-1", "cards-1~7"]


def test_mirror_has_to_say_which_rows_are_in_shared_documents() -> None:
    class Bare(OwnRowsMirror[Card]):
        """Declares nothing."""

    with pytest.raises(NotImplementedError, match=r"Bare needs get_shared_room_names\(\)"):
        Bare(Card).get_room_names(Card())
    with pytest.raises(NotImplementedError, match=r"Bare needs get_shared_queryset\(\)"):
        Bare(Card).get_queryset("room")


def test_serializers_say_what_owners_see() -> None:
    own = CardMirror(Card).own_serializer

    class WithSerializers(CardMirror):
        fields: ClassVar[Sequence[str]] = ()
        own_fields: ClassVar[Sequence[str]] = ()
        serializer_class = CardMirror(Card).get_serializer_class("cards-1")
        own_serializer_class = own

    mirror: ModelMirror[Card] = WithSerializers(Card)
    assert mirror.get_serializer_class("cards-1~7") is own
    assert mirror.get_serializer_class("cards-1") is WithSerializers.serializer_class


# Live.


class Consumer(YjsConsumer):
    async def authorize(self) -> Access:
        return Access.WRITE if is_own_or_shared(self.room_name, self.scope["user"]) else Access.NONE


application = URLRouter([path("ws/<str:room>", Consumer.as_asgi())])


@pytest.mark.django_db(transaction=True)
async def test_changes_of_an_owner_reach_others_in_part() -> None:
    world = await sync_to_async(World)()
    card = await sync_to_async(world.card)()
    for stranger in (world.bob, AnonymousUser()):
        with pytest.raises(ConnectionClosed):
            async with connect(application, f"/ws/{world.anns}", user=stranger):
                pass
    async with (
        connect(application, f"/ws/{world.anns}", user=world.ann) as ann,
        connect(application, f"/ws/{world.shared}", user=world.bob) as bob,
    ):
        own, others = (client.doc.get("cards", type=Map)[str(card.pk)] for client in (ann, bob))
        assert (set(own), set(others)) == (IN_FULL, IN_PART)
        own["salary"], own["title"] = f"{MARKER} 3", "Blue"
        own["diary"].insert(0, f"{MARKER} 4")
        await bob.wait_until(lambda: others["title"] == "Blue")
        others["done"], others["salary"] = True, "guess"
        await ann.wait_until(lambda: own["done"])
        await bob.wait_until(lambda: bob.errors)
        assert bob.errors == ["There is no such field."]
        await bob.wait_until(lambda: set(others) == IN_PART)
        assert MARKER.encode() not in bob.doc.get_update()
        assert MARKER not in str(bob.messages)
    await card.arefresh_from_db()
    assert (card.salary, card.diary, card.done) == (
        f"{MARKER} 3",
        f"{MARKER} 4{MARKER} 1",
        True,
    )
    assert MARKER.encode() not in await sync_to_async(stored)(world.shared)


@on_both
@pytest.mark.parametrize("guess", ["guess", Text("guess")])
def test_a_hidden_text_that_others_write_is_taken_out_again(world: World, guess: Any) -> None:
    card = world.card()
    for _ in range(2):
        fresh = Text("guess") if isinstance(guess, Text) else guess
        refused = world.change(world.shared, card, world.bob, diary=fresh)
        assert statuses(refused) == {"diary": 400}
        assert set(cards(world.shared)["Paint"]) == IN_PART
    key = str(uuid4())
    fresh = Text("guess") if isinstance(guess, Text) else guess
    refused = world.change(world.shared, key, world.bob, done=True, diary=fresh)
    assert statuses(refused) == {"diary": 400}
    card.refresh_from_db()
    assert card.diary == f"{MARKER} 1"
