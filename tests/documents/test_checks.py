"""System checks name document types that nobody can use, and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.core.checks import run_checks
from django.core.checks.registry import registry as all_checks

from collab import documents
from collab.access import Access
from collab.documents import registry
from collab.documents.checks import check_app, check_document_types


class Open(documents.DocumentType):
    """Lets everybody in."""

    def authorize(self, user: Any, **parameters: Any) -> Access:
        return Access.WRITE


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Register types in a registry of the test's own."""
    monkeypatch.setattr(registry, "_registrations", registry.Registry())
    return documents.register


def found() -> list[tuple[str, str]]:
    return [(str(check.id), check.msg) for check in check_document_types()]


def test_types_for_different_names_are_in_order(register: Callable[..., Any]) -> None:
    for pattern in (
        "notes/<int:pk>",
        "notes/<int:pk>/<slug:part>",
        "wiki/<path:path>",
        "<uuid:id>",
    ):
        register(pattern)(type("Another", (Open,), {}))
    assert found() == []


@pytest.mark.parametrize(
    ("first", "second", "sample"),
    [
        ("notes/<str:key>", "notes/<int:pk>", "notes/0"),
        ("<path:name>", "notes/<int:pk>", "notes/0"),
        ("notes/<int:pk>", "notes/<slug:key>", "notes/17"),
        ("board", "board", "board"),
    ],
)
def test_a_pattern_that_hides_a_later_one_is_named(
    register: Callable[..., Any], first: str, second: str, sample: str
) -> None:
    register(first)(type("First", (Open,), {}))
    register(second)(type("Second", (Open,), {}))
    [(id, message)] = found()
    assert id == "collab.E030"
    assert message == (
        f"Documents such as {sample!r} match the pattern '{second}' of tests.documents.test_checks"
        f".Second, but belong to tests.documents.test_checks.First, whose pattern '{first}' is"
        " registered first."
    )


def test_a_type_that_does_not_say_who_may_is_named(register: Callable[..., Any]) -> None:
    register("notes/<int:pk>")(type("Forgetful", (documents.DocumentType,), {}))
    [(id, message)] = found()
    assert id == "collab.E031"
    assert message.endswith("Forgetful does not say who may open its documents.")


def test_a_receiver_needs_the_app_with_the_queue(
    register: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apps, "is_installed", lambda name: False)
    register("notes/<int:pk>")(type("Quiet", (Open,), {}))
    assert found() == []
    register("pages/<int:pk>")(type("Loud", (Open,), {"changed": lambda *args, **kwargs: None}))
    [(id, message)] = found()
    assert id == "collab.E032"
    assert "Loud is called when its documents change" in message


@pytest.mark.parametrize("label", ["collab_editor", "collab_live", "collab_mirror"])
def test_an_app_that_is_installed_without_the_one_it_belongs_to(
    label: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = all_checks.registered_checks - {check_app}
    monkeypatch.setattr(all_checks, "registered_checks", others)
    apps.get_app_config(label).ready()
    assert run_checks(tags=["collab"]) == []
    monkeypatch.setattr(apps, "is_installed", lambda name: name != "collab")
    [message] = run_checks(tags=["collab"])
    assert (message.id, message.hint) == ("collab.E033", 'Add "collab" to INSTALLED_APPS.')
