"""A row whose values are those of other rows changes with them."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.exceptions import FieldDoesNotExist
from django.db import connections
from django.db.models import Prefetch
from django.test.utils import CaptureQueriesContext

from collab.mirror import reconcile, touch
from collab.mirror.rows.relations import declared_paths
from tests.mirror.boards import in_maps, open_board, row_values, tasks
from tests.rows.mirrors import TaskMirror
from tests.rows.models import (
    FamousTeam,
    Label,
    Match,
    Membership,
    Person,
    Place,
    Shop,
    Task,
    Team,
)

pytestmark = pytest.mark.django_db(transaction=True)


def team_values() -> dict[str, Any]:
    """Return the values of the only team in the document, which is as the rows are."""
    assert in_maps("famous") == row_values("famous")
    (values,) = in_maps("famous")["rows.famousteam"].values()
    return dict(values)


@pytest.fixture
def team() -> Team:
    reconcile("famous")
    return Team.objects.create(name="a team", leader=Person.objects.create(name="ann"))


def test_row_of_the_model_that_a_proxy_is_for_is_written(team: Team) -> None:
    assert team_values()["name"] == "a team"
    team.name = "the team"
    team.save()
    assert team_values()["name"] == "the team"
    FamousTeam.objects.get().delete()
    assert in_maps("famous") == {"rows.famousteam": {}}


def test_nested_row_is_written_when_it_is_saved(team: Team) -> None:
    assert team.leader is not None
    team.leader.name = "bob"
    team.leader.save()
    assert team_values()["leader"] == {"name": "bob"}


def test_row_that_others_are_left_without_is_gone_from_them(team: Team) -> None:
    assert team.leader is not None
    team.leader.delete()
    assert (team_values()["leader"], team_values()["leader_id"]) == (None, None)


def test_row_that_a_method_uses_is_written_if_that_is_declared(team: Team) -> None:
    assert team.leader is not None
    home = Shop.objects.create(name="home")
    team.leader.home = home
    team.leader.save()
    assert team_values()["home"] == "home"
    Place.objects.get().delete()
    assert team_values()["home"] is None


def test_members_are_written_when_rows_between_are_saved(team: Team) -> None:
    bob, cid = (Person.objects.create(name=name) for name in ("bob", "cid"))
    membership = Membership.objects.create(team=team, person=bob)
    assert team_values()["people"] == ["bob"]
    membership.person = cid
    membership.save()
    assert team_values()["people"] == ["cid"]
    membership.delete()
    team.members.add(bob, cid)
    cid.teams.remove(team)
    assert team_values()["people"] == ["bob"]
    bob.name = "bo"
    bob.save()
    assert team_values()["people"] == ["bo"]
    bob.delete()
    assert team_values()["people"] == []


def test_rows_that_refer_to_it_are_written(team: Team) -> None:
    other = Team.objects.create(name="")
    match = Match.objects.create(team=team, place="here")
    assert team_values()["places"] == ["here"]
    Match.objects.update(place="there")
    assert team_values()["places"] == ["there"]
    match.team = other
    match.save()
    assert team_values()["places"] == []
    Match.objects.bulk_create([Match(team=team, place="x"), Match(team=team, place="y")])
    assert team_values()["places"] == ["x", "y"]
    Match.objects.filter(place="x").update(team=other)
    assert team_values()["places"] == ["y"]
    Match.objects.filter(place="y").delete()
    assert team_values()["places"] == []


def test_row_of_a_model_that_inherits_is_written_as_both() -> None:
    reconcile("town")
    shop = Shop.objects.create(name="shop", street="street")
    key = str(shop.pk)
    both = {"rows.place": {key: {"name": "shop"}}}
    assert in_maps("town") == {**both, "rows.shop": {key: {"name": "shop", "street": "street"}}}
    place = Place.objects.get()
    place.name = "bank"
    place.save()
    assert in_maps("town") == row_values("town")
    assert in_maps("town")["rows.shop"][key]["name"] == "bank"
    shop.delete(keep_parents=True)
    assert in_maps("town") == {"rows.place": {key: {"name": "bank"}}, "rows.shop": {}}
    place.delete()
    assert in_maps("town") == {"rows.place": {}, "rows.shop": {}}


def test_row_that_only_its_key_is_shown_of_costs_nothing_to_save() -> None:
    user, label = User.objects.create(username="ann"), Label.objects.create(name="l")
    task = Task.objects.create(board=open_board(), owner=user)
    task.labels.add(label)
    with CaptureQueriesContext(connections["default"]) as queries:
        label.save()
        user.save()
        task.board.save()
    assert len(queries) == 3


def test_row_that_only_its_key_is_shown_of_is_gone_when_it_is_deleted() -> None:
    user, label, board = User.objects.create(username="a"), Label.objects.create(), open_board()
    task = Task.objects.create(board=board, owner=user)
    task.labels.add(label)
    label.delete()
    assert tasks(board)[str(task.pk)]["labels"] == []
    user.delete()
    assert tasks(board)[str(task.pk)]["owner"] is None


def test_rows_are_read_with_as_many_queries_as_one() -> None:
    counts = []
    for _ in range(2):
        for _ in range(5):
            leader = Person.objects.create(name="l", home=Place.objects.create(name="h"))
            team = Team.objects.create(name="t", leader=leader)
            Membership.objects.create(team=team, person=leader)
            Match.objects.create(team=team, place="p")
        with CaptureQueriesContext(connections["default"]) as queries:
            row_values("famous")
        counts.append(len(queries))
    assert counts[0] == counts[1] < 10


def test_many_rows_that_only_their_keys_are_shown_of_cost_nothing() -> None:
    task = Task.objects.create(board=open_board())
    task.labels.add(Label.objects.create(name="l"))
    with CaptureQueriesContext(connections["default"]) as queries:
        touch(Label.objects.all())
        touch(Person.objects.all())
    assert len(queries) == 2


def test_rows_with_unknown_keys_are_left_to_the_next_reconciling(team: Team) -> None:
    Match.objects.bulk_create([Match(team=team, place="here")], ignore_conflicts=True)
    reconcile("famous")
    assert team_values()["places"] == ["here"]


def test_relations_of_other_models_are_none_of_its_business() -> None:
    user, group = User.objects.create(username="a"), Group.objects.create(name="g")
    group.user_set.add(user)
    with CaptureQueriesContext(connections["default"]) as queries:
        user.groups.clear()
    assert not any("collab_mirror" in query["sql"] for query in queries)


def test_lists_of_keys_are_always_in_the_same_order() -> None:
    board = open_board()
    labels = [Label.objects.create(name=name) for name in "abc"]
    task = Task.objects.create(board=board)
    for label in reversed(labels):
        task.labels.add(label)
    assert tasks(board)[str(task.pk)]["labels"] == [label.pk for label in labels]


def test_relations_that_the_queryset_prefetches_are_left_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    board = open_board()
    task = Task.objects.create(board=board)
    for name in "ab":
        task.labels.add(Label.objects.create(name=name))
    queryset = TaskMirror.get_queryset

    def fetch(self: TaskMirror, room_name: str) -> Any:
        found = queryset(self, room_name)
        labels = Prefetch("labels", Label.objects.filter(name="b"))
        return None if found is None else found.prefetch_related(labels)

    monkeypatch.setattr(TaskMirror, "get_queryset", fetch)
    task.save()
    assert tasks(board)[str(task.pk)]["labels"] == [Label.objects.get(name="b").pk]


def test_wrong_path_is_an_error() -> None:
    with pytest.raises(FieldDoesNotExist, match="Team has no relation 'leader__nonsense'"):
        declared_paths(Team, ["leader__nonsense"])
