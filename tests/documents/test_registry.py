"""The type of a document is found by its name, and the name by the type."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured

from collab import documents
from collab.documents import registry
from collab.documents.registry import register, registrations, resolve
from collab.testing import use_memory_storage
from tests.projects.documents import Recorded, RecordedAsync, RecordedFiles


def test_types_in_the_module_documents_of_an_app_are_discovered() -> None:
    types = [type(registration.document_type) for registration in registrations()]
    assert types[:3] == [Recorded, RecordedAsync, RecordedFiles]


def test_a_name_gives_its_type_and_parameters() -> None:
    resolved = resolve("recorded/5")
    assert resolved is not None
    assert (type(resolved.document_type), resolved.parameters) == (Recorded, {"pk": 5})
    assert documents.type_of("recorded/async/a") is RecordedAsync
    assert documents.type_of("recorded/files/async/a") is RecordedFiles


def test_a_name_that_no_pattern_matches_has_no_type() -> None:
    assert resolve("recorded/x/y") is None
    assert documents.type_of("elsewhere") is None


def test_names_that_no_document_can_have_fill_no_memory() -> None:
    before = registry._registrations.find.cache_info()
    resolved = resolve(f"recorded/async/{'a' * 1000}")
    assert resolved is not None and type(resolved.document_type) is RecordedAsync
    assert resolve("x" * 1000) is None
    assert registry._registrations.find.cache_info() == before


def test_a_type_gives_its_names() -> None:
    assert documents.name_of(Recorded, pk=5) == "recorded/5"
    assert Recorded.pattern == "recorded/<int:pk>"


@pytest.mark.django_db
def test_the_stored_documents_of_a_type_are_listed() -> None:
    with use_memory_storage():
        for name in ("recorded/7", "recorded/async/7", "recorded/8", "other/9"):
            documents.send_doc_update(name, b"\0\0")
        assert list(documents.names(Recorded)) == ["recorded/7", "recorded/8"]


def test_a_type_that_is_not_registered_has_no_names() -> None:
    class Elsewhere(documents.DocumentType):
        pass

    with pytest.raises(ImproperlyConfigured, match=r"Elsewhere is not registered: decorate"):
        documents.name_of(Elsewhere, pk=5)


def test_a_type_is_registered_once() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"for 'recorded/<int:pk>' already; subclass"):
        register("again/<int:pk>")(Recorded)


def test_a_project_without_users_and_tables_can_have_types(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(apps, "is_installed", lambda name: False)
    apps.get_app_config("collab").ready()
    assert documents.type_of("recorded/5") is Recorded
