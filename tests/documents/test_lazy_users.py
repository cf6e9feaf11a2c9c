"""Views pass ``request.user``, which is loaded when it is used first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils.functional import SimpleLazyObject
from pycrdt import Doc, Text

from collab import documents, history

NAME = "doc"


def update() -> bytes:
    doc: Doc[Any] = Doc()
    doc.get("text", type=Text).insert(0, "one ")
    return doc.get_update()


def edit(user: object) -> None:
    with documents.edit(NAME, user=user) as doc:
        doc.get("text", type=Text).insert(0, "one ")


def replace(user: object) -> None:
    documents.replace(NAME, text="two", schema="plain", field="text", user=user)


def edit_text(user: object) -> None:
    documents.edit_text(NAME, "base", "new", schema="plain", field="text", user=user)


USES: dict[str, Callable[[Any], Any]] = {
    "send_doc_update": lambda user: documents.send_doc_update(NAME, update(), user=user),
    "edit": edit,
    "replace": replace,
    "edit_text": edit_text,
    "recheck_access": lambda user: documents.recheck_access(NAME, user),
    "close_members": lambda user: documents.close_members(NAME, user=user),
    "create": lambda user: history.create(NAME, "Title", user=user),
    "restore": lambda user: history.restore(NAME, history.create(NAME).id, user=user),
    "forget_user": history.forget_user,
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("use", USES)
def test_a_user_that_is_not_loaded_yet_is_the_author(use: str) -> None:
    documents.replace(NAME, text="base", schema="plain", field="text")
    ann = User.objects.create(username="ann")
    USES[use](SimpleLazyObject(lambda: User.objects.get(pk=ann.pk)))
    if use in ("send_doc_update", "edit", "replace", "edit_text"):
        assert str(ann.pk) in history.authors(NAME)
    if use in ("create", "restore"):
        [made] = [each for each in history.versions(NAME) if each.kind in ("named", "restore")]
        assert made.made_by == str(ann.pk)
