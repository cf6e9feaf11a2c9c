"""A transaction's changes of rows are reported once, after its commit, with the values of then."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import pytest
from django.apps import apps
from django.db import connections, transaction
from django.db.models import F, Model
from django.test.utils import CaptureQueriesContext

from collab.live.watching import row_changes as changes
from collab.live.watching.row_changes import RowChange, unwatch, watch
from collab.mirror import row_signals, touch
from collab.mirror.querysets import rows_changed
from collab_storage.chunks import CHUNK
from tests.mirror.databases import kept_in, on_both
from tests.rows.models import (
    Board,
    FamousTeam,
    Label,
    Membership,
    Note,
    Person,
    Place,
    Shop,
    Task,
    Team,
)

pytestmark = pytest.mark.django_db(transaction=True)


class Witness:
    """Remembers what it was told, as texts."""

    many_to_many = False
    wants_before = False

    def __init__(self, model: type[Model]) -> None:
        self.model = model
        self.told: list[list[str]] = []
        self.changes: list[RowChange] = []

    def groups_of(self, row: Model) -> Iterable[str]:
        return [str(getattr(row, "board_id", ""))]

    def receive(self, changes: Sequence[RowChange]) -> None:
        self.changes.extend(changes)
        self.told.append([f"{change.kind} {change.row}" for change in changes])


class Curious(Witness):
    wants_before = True


class Relating(Witness):
    many_to_many = True


class RelatingAndCurious(Witness):
    many_to_many = True
    wants_before = True

    def groups_of(self, row: Model) -> Iterable[str]:
        assert isinstance(row, Task)
        return [label.name for label in row.labels.all()]


Witnessed = Callable[..., Witness]


def reads(queries: CaptureQueriesContext) -> list[str]:
    """Return what has read tasks."""
    found = [query["sql"] for query in queries]
    return [sql for sql in found if sql.startswith("SELECT") and 'FROM "rows_task"' in sql]


@pytest.fixture
def witness() -> Iterator[Witnessed]:
    """Watch a model for the time of the test."""
    watching: list[Witness] = []
    before, followed = row_signals._connected, changes._followers.copy()

    def make(model: type[Model], kind: type[Witness] = Witness) -> Witness:
        watching.append(kind(model))
        watch(watching[-1])
        return watching[-1]

    yield make
    for each in watching:
        unwatch(each)
    assert changes._followers == followed
    assert row_signals._connected == before


@pytest.fixture(autouse=True)
def _database(request: pytest.FixtureRequest) -> Iterator[None]:
    spec = getattr(request.node, "callspec", None)
    with kept_in(spec.params["using"] if spec and "using" in spec.params else "default"):
        yield


@pytest.fixture
def board() -> Board:
    return Board.objects.create(name="b")


def test_each_change_without_a_transaction_is_published(witness: Witnessed, board: Board) -> None:
    tasks = witness(Task)
    task = Task.objects.create(board=board, title="one")
    task.title = "two"
    task.save()
    task.delete()
    assert tasks.told == [["create one"], ["update two"], ["delete two"]]


def test_many_saves_in_a_transaction_are_one_change(witness: Witnessed, board: Board) -> None:
    tasks = witness(Task)
    with transaction.atomic():
        task = Task.objects.create(board=board)
        for title in "abc":
            task.title = title
            task.save()
        assert tasks.told == []
    with transaction.atomic():
        for title in "def":
            task.title = title
            task.save(update_fields=["title"])
    assert tasks.told == [["create c"], ["update f"]]


def test_two_instances_of_a_row_are_one_change(witness: Witnessed, board: Board) -> None:
    task = Task.objects.create(board=board, title="one")
    tasks = witness(Task)
    with transaction.atomic():
        one, two = Task.objects.get(), Task.objects.get()
        one.title, two.done = "two", True
        one.save(update_fields=["title"])
        two.save(update_fields=["done"])
    (change,) = tasks.changes
    assert (change.pk, tasks.told) == (task.pk, [["update two"]])
    assert isinstance(change.row, Task) and change.row.done


@on_both
def test_changes_of_a_rolled_back_savepoint_are_not_published(
    witness: Witnessed, using: str
) -> None:
    board = Board.objects.create(name="b")
    one, two = (Task.objects.create(board=board, title=title) for title in ("one", "two"))
    tasks = witness(Task)
    with transaction.atomic(using):
        one.title = "outer"
        one.save()
        with transaction.atomic(using):
            one.title = two.title = "inner"
            one.save()
            two.save()
            Task.objects.create(board=board, title="new")
            transaction.set_rollback(True, using)
    assert tasks.told == [["update outer"]]


@on_both
def test_row_whose_deletion_was_rolled_back_is_not_deleted(witness: Witnessed, using: str) -> None:
    board = Board.objects.create(name="b")
    task = Task.objects.create(board=board, title="one")
    tasks = witness(Task)
    with transaction.atomic(using):
        with transaction.atomic(using):
            Task.objects.get().delete()
            transaction.set_rollback(True, using)
        board.save()
    assert tasks.told == []
    with transaction.atomic(using):
        with transaction.atomic(using):
            Task.objects.get().delete()
            transaction.set_rollback(True, using)
        task.title = "two"
        task.save()
    assert tasks.told == [["update two"]]


def test_a_rolled_back_transaction_publishes_nothing(witness: Witnessed, board: Board) -> None:
    tasks = witness(Task)
    with transaction.atomic():
        Task.objects.create(board=board)
        transaction.set_rollback(True)
    assert tasks.told == []


def test_a_row_created_and_deleted_in_a_transaction_is_not_published(
    witness: Witnessed, board: Board
) -> None:
    tasks = witness(Task)
    with transaction.atomic():
        Task.objects.create(board=board).delete()
    assert tasks.told == []


def test_row_that_was_deleted_and_made_again_is_updated(witness: Witnessed, board: Board) -> None:
    note = Note.objects.create(board=board, text="one")
    notes, key = witness(Note), note.pk
    with transaction.atomic():
        note.delete()
        Note.objects.create(pk=key, board=board, text="two")
    assert notes.told == [["update two"]]


def test_values_that_only_the_database_knows_are_read(witness: Witnessed, board: Board) -> None:
    task = Task.objects.create(board=board)
    tasks = witness(Task)
    task.position = F("position") + 5
    task.save()
    (row,) = [change.row for change in tasks.changes]
    assert isinstance(row, Task) and row.position == 5


def test_keys_that_code_has_assigned_as_text_are_one(witness: Witnessed, board: Board) -> None:
    note = Note.objects.create(board=board, text="one")
    notes = witness(Note)
    with transaction.atomic():
        note.save()
        Note(pk=note.pk.hex, board=board, text="two").save(force_update=True)
    assert notes.told == [["update two"]]


def test_rows_deleted_by_another_transaction_are_published_by_that(
    witness: Witnessed, board: Board
) -> None:
    task = Task.objects.create(board=board)
    tasks = witness(Task)
    with transaction.atomic():
        task.save()
        # As if another connection did it: nobody is told here.
        Task.objects.filter(pk=task.pk)._raw_delete("default")
    assert tasks.told == []


def test_cascades_are_published(witness: Witnessed, board: Board) -> None:
    Task.objects.create(board=board, title="one")
    tasks = witness(Task)
    board.delete()
    assert tasks.told == [["delete one"]]


# Many rows at once.


def test_bulk_methods_are_published(witness: Witnessed, board: Board) -> None:
    tasks = witness(Task)
    rows = Task.objects.bulk_create(Task(board=board, title=title) for title in "ab")
    Task.objects.filter(title="a").update(title="c")
    for row in rows:
        row.title = "d"
    Task.objects.bulk_update(rows, ["title"])
    touch(Task.objects.all())
    Task.objects.all().delete()
    both = ["update d", "update d"]
    assert tasks.told == [
        ["create a", "create b"],
        ["update c"],
        both,
        both,
        ["delete d", "delete d"],
    ]


def test_rows_with_unknown_keys_are_not_published(witness: Witnessed, board: Board) -> None:
    tasks = witness(Task)
    Task.objects.bulk_create([Task(board=board)], ignore_conflicts=True)
    assert tasks.told == []


def test_rows_that_may_have_been_there_are_updated(witness: Witnessed, board: Board) -> None:
    note = Note.objects.create(board=board, text="one")
    notes = witness(Note)
    rows = [Note(pk=note.pk, board=board, text="two"), Note(board=board, text="new")]
    ways = {"update_conflicts": True, "unique_fields": ["id"], "update_fields": ["text"]}
    Note.objects.bulk_create(rows, **ways)
    Note.objects.bulk_create([Note(pk=note.pk, board=board)], None, True)
    assert notes.told == [["update two", "update new"], ["update two"]]


def test_rows_that_are_loaded_in_part_are_not_loaded_in_full(
    witness: Witnessed, board: Board
) -> None:
    for _ in range(10):
        Task.objects.create(board=board)
    witness(Task, Curious)
    with CaptureQueriesContext(connections["default"]) as queries:
        assert len(list(Task.objects.only("pk"))) == 10
    assert len(queries) == 1


def test_many_rows_are_read_in_few_queries(witness: Witnessed, board: Board) -> None:
    tasks = witness(Task)
    with CaptureQueriesContext(connections["default"]) as queries, transaction.atomic():
        for _ in range(CHUNK + 1):
            Task(board=board).save()
    assert (len(reads(queries)), len(tasks.changes)) == (2, CHUNK + 1)


def test_loading_rows_costs_nothing(witness: Witnessed, board: Board) -> None:
    from django.db.models.signals import post_init, pre_init

    witness(Task, Curious)
    assert not post_init.has_listeners(Task) and not pre_init.has_listeners(Task)


# Before.


def test_groups_before_a_change_are_known(witness: Witnessed, board: Board) -> None:
    other = Board.objects.create(name="other")
    task = Task.objects.create(board=board, title="one")
    tasks = witness(Task, Curious)
    with transaction.atomic():
        task.board, task.title = other, "two"
        task.save()
        task.title = "three"
        task.save()
    (change,) = tasks.changes
    assert change.before is not None
    assert change.before.groups == {tasks: {str(board.pk)}}
    assert (str(change.before.row), str(change.row)) == ("one", "three")


def test_groups_before_cost_one_query(witness: Witnessed, board: Board) -> None:
    task = Task.objects.create(board=board)
    witness(Task, Curious)
    with CaptureQueriesContext(connections["default"]) as queries:
        task.save()
    assert len(reads(queries)) == 2
    with CaptureQueriesContext(connections["default"]) as queries:
        Task.objects.create(board=board)
    assert len(reads(queries)) == 1
    with CaptureQueriesContext(connections["default"]) as queries, transaction.atomic():
        for _ in range(10):
            task.save()
    assert len(reads(queries)) == 2


def test_rows_with_keys_of_their_own_are_looked_for_if_django_does(
    witness: Witnessed, board: Board
) -> None:
    notes, tasks = witness(Note, Curious), witness(Task, Curious)
    with CaptureQueriesContext(connections["default"]) as queries:
        Note.objects.create(board=board, text="one")
    assert sum('FROM "rows_note"' in query["sql"] for query in queries) == 1
    Task(pk=500, board=board, title="new").save()
    Task(pk=500, board=board, title="old").save()
    assert [change.before is None for change in notes.changes + tasks.changes] == [
        True,
        True,
        False,
    ]
    assert tasks.told == [["create new"], ["update old"]]


def test_groups_of_what_is_deleted_are_those_of_the_row(witness: Witnessed, board: Board) -> None:
    task = Task.objects.create(board=board, title="one")
    other = Task.objects.create(board=board, title="other")
    tasks = witness(Task, Curious)
    task.board, task.title = Board.objects.create(name="other"), "unsaved"
    task.delete()
    board.delete()
    befores = [change.before for change in tasks.changes]
    assert tasks.told == [["delete one"], ["delete other"]]
    groups = [list(before.groups.values()) if before else None for before in befores]
    assert groups == [[frozenset({str(other.board_id)})]] * 2


def test_groups_before_bulk_methods_are_known(witness: Witnessed, board: Board) -> None:
    task = Task.objects.create(board=board)
    tasks, other = witness(Task, Curious), Board.objects.create(name="other")
    Task.objects.update(board=other)
    (change,) = tasks.changes
    assert change.before is not None and change.before.groups[tasks] == {str(task.board_id)}


# Relations of many to many.


def test_relations_are_published_in_both_directions(witness: Witnessed, board: Board) -> None:
    one, two = (Task.objects.create(board=board, title=title) for title in ("one", "two"))
    label = Label.objects.create(name="l")
    tasks, plain = witness(Task, Relating), witness(Task)
    one.labels.add(label)
    one.labels.add(label)
    label.task_set.add(two)
    two.labels.remove(label)
    two.labels.clear()
    label.task_set.clear()
    one.labels.set([label])
    assert tasks.told[:2] == [["update one"], ["update two"]]
    assert tasks.told[2:] == [["update two"], ["update two"], ["update one"], ["update one"]]
    assert plain.told == []


def test_rows_are_published_when_related_rows_are_deleted(witness: Witnessed, board: Board) -> None:
    task, label = Task.objects.create(board=board, title="one"), Label.objects.create(name="l")
    task.labels.add(label)
    tasks = witness(Task, Relating)
    label.delete()
    assert tasks.told == [["update one"]]


def test_rows_that_join_others_are_changes_of_these(witness: Witnessed) -> None:
    team, person = Team.objects.create(name="t"), Person.objects.create(name="p")
    teams = witness(Team, Relating)
    membership = Membership.objects.create(team=team, person=person)
    membership.delete()
    assert teams.told == [["update t"], ["update t"]]


def test_groups_by_relations_are_known_before(witness: Witnessed, board: Board) -> None:
    task = Task.objects.create(board=board)
    one, two = Label.objects.create(name="one"), Label.objects.create(name="two")
    task.labels.set([one])
    tasks = witness(Task, RelatingAndCurious)
    task.labels.set([two])
    (change,) = tasks.changes
    assert change.before is not None and change.before.groups[tasks] == {"one"}
    assert tasks.groups_of(change.row) == ["two"]


def test_rows_changed_themselves_are_published_to_all_watches(
    witness: Witnessed, board: Board
) -> None:
    task, label = Task.objects.create(board=board, title="one"), Label.objects.create(name="l")
    tasks, plain = witness(Task, Relating), witness(Task)
    with transaction.atomic():
        task.save()
        task.labels.add(label)
    with transaction.atomic():
        task.labels.remove(label)
        with transaction.atomic():
            task.save()
            transaction.set_rollback(True)
    assert (tasks.told, plain.told) == ([["update one"], ["update one"]], [["update one"]])


# Inheritance.


def test_rows_of_two_models_are_published_by_both(witness: Witnessed) -> None:
    places, shops = witness(Place), witness(Shop)
    Shop.objects.create(name="shop")
    place = Place.objects.get()
    place.name = "place"
    place.save()
    Place.objects.create(name="no shop")
    assert shops.told == [["create shop"], ["update place"]]
    Shop.objects.get().delete()
    assert shops.told[2:] == [["delete place"]]
    assert places.told == [
        ["create shop"],
        ["update place"],
        ["create no shop"],
        ["delete place"],
    ]


def test_proxies_are_the_same_rows(witness: Witnessed) -> None:
    teams, famous = witness(Team), witness(FamousTeam)
    FamousTeam.objects.create(name="t")
    Team.objects.get().save()
    assert teams.told == famous.told == [["create t"], ["update t"]]
    assert [type(change.row) for change in famous.changes] == [FamousTeam] * 2


def test_bulk_methods_of_a_parent_model_are_published(witness: Witnessed) -> None:
    shops = witness(Shop)
    shop = Shop.objects.create(name="shop")
    place = Place.objects.create(name="place")
    rows_changed.send(Place, keys=[shop.pk, place.pk], using="default")
    assert shops.told == [["create shop"], ["update shop"]]


# Errors.


def test_watches_added_before_all_models_are_loaded_are_connected_later(
    witness: Witnessed, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(apps, "models_ready", False)
        tasks = witness(Task)
    Task.objects.create(board=board, title="one")
    row_signals.connect_all()
    Task.objects.create(board=board, title="two")
    assert tasks.told == [["create two"]]


class Failing(Witness):
    def receive(self, changes: Sequence[RowChange]) -> None:
        raise ZeroDivisionError


class Unsure(Curious):
    def groups_of(self, row: Model) -> Iterable[str]:
        raise ZeroDivisionError


def test_error_of_one_who_watches_keeps_no_row_from_being_saved(
    witness: Witnessed, board: Board, caplog: pytest.LogCaptureFixture
) -> None:
    task = Task.objects.create(board=board)
    tasks = witness(Task, Unsure)
    task.title = "two"
    task.save()
    assert tasks.told == [["update two"]]
    assert [record.name for record in caplog.records] == ["collab.live"]


def test_an_error_of_one_watch_affects_no_other(
    witness: Witnessed, board: Board, caplog: pytest.LogCaptureFixture
) -> None:
    witness(Task, Failing)
    tasks = witness(Task)
    Task.objects.create(board=board, title="one")
    assert tasks.told == [["create one"]]
    assert [record.name for record in caplog.records] == ["collab.live"]
