"""A stale instance of a MirroredModel takes back nothing that others have changed (I17)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import DatabaseError
from django.db.models import F, Value
from django.db.models.functions import Concat
from django.db.models.signals import post_save

from collab import mirror
from tests.mirror.databases import kept_in, on_both
from tests.rows.models import Place, Recipe

pytestmark = on_both


@pytest.fixture(autouse=True)
def _database(using: str) -> Iterator[None]:
    with kept_in(using):
        yield


@pytest.fixture
def stale(_database: None) -> Recipe:
    """Return an instance; its row has changed since it was loaded."""
    recipe = Recipe.objects.create(title="one", text="flour\neggs\n", tags=["a"])
    stale = Recipe.objects.get(pk=recipe.pk)
    Recipe.objects.update(title="theirs", text="flour, 500 g\neggs\n", tags=["b"])
    return stale


def values() -> tuple[Any, ...]:
    return Recipe.objects.values_list("title", "text", "tags").get()


def test_fields_that_the_instance_has_not_changed_are_left_alone(stale: Recipe) -> None:
    before = Recipe.objects.values_list("changed", flat=True).get()
    stale.place = Place.objects.create(name="p")
    stale.save()
    assert values() == ("theirs", "flour, 500 g\neggs\n", ["b"])
    found = Recipe.objects.get()
    assert found.place == stale.place
    assert found.changed > before


def test_texts_that_both_have_changed_have_both_changes(stale: Recipe) -> None:
    stale.text = "flour\n3 eggs\n"
    stale.save()
    assert values()[1] == stale.text == "flour, 500 g\n3 eggs\n"


def test_fields_that_both_have_changed_are_those_of_the_last(stale: Recipe) -> None:
    stale.title = "mine"
    stale.save()
    assert values()[0] == "mine"
    Recipe.objects.update(title="theirs")
    stale.tags.append("c")
    stale.save()
    assert values() == ("theirs", "flour, 500 g\neggs\n", ["a", "c"])


def test_an_instance_without_changes_saves_nothing(stale: Recipe) -> None:
    signals: list[object] = []
    post_save.connect(signals.append, sender=Recipe)
    stale.save()
    stale.save(using=stale._state.db)
    assert not signals
    assert values()[0] == "theirs"


def test_a_save_with_arguments_is_one_of_any_model(stale: Recipe) -> None:
    stale.save(update_fields=["title"])
    assert values()[0] == "one"
    stale.save(force_update=True)
    assert values() == ("one", "flour\neggs\n", ["a"])
    Recipe.objects.update(title="theirs")
    stale.save(update_fields=[])
    assert values()[0] == "theirs"


def test_values_that_only_the_database_knows_are_saved(stale: Recipe) -> None:
    stale.title = Concat(F("title"), Value("!"))
    stale.save()
    assert values()[0] == "theirs!"


def test_a_row_that_was_deleted_is_not_brought_back(stale: Recipe) -> None:
    Recipe.objects.all().delete()
    stale.title = stale.text = "mine"
    with pytest.raises(DatabaseError):
        stale.save()
    assert not Recipe.objects.exists()


def test_deferred_fields_are_saved_if_they_were_assigned(stale: Recipe) -> None:
    found = Recipe.objects.only("title").get()
    found.title = "mine"
    found.tags = ["mine"]
    Recipe.objects.update(text="theirs")
    found.save()
    assert values() == ("mine", "theirs", ["mine"])


def test_a_field_loaded_again_is_no_change(stale: Recipe) -> None:
    stale.title, stale.text = "mine", "mine"
    stale.refresh_from_db(fields=["title"])
    Recipe.objects.update(title="later")
    stale.save()
    assert values()[0] == "later"
    stale.refresh_from_db()
    assert stale.title == "later"


def test_a_new_instance_is_saved_with_all_fields_and_then_with_its_changes() -> None:
    recipe = Recipe(title="one")
    recipe.save()
    Recipe.objects.update(title="theirs")
    recipe.text = "mine"
    recipe.save()
    assert values()[:2] == ("theirs", "mine")


def test_the_module_has_no_other_names(using: str) -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = mirror.nonsense
