"""Document types, discovered as those of any project are."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from time import time
from typing import Any, ClassVar

from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied, ValidationError
from pycrdt import Doc, Text

from collab import documents
from collab.access import Access
from collab.documents.changes.change import Change
from collab.documents.changes.deliverer import Deliverer
from collab.exceptions import NoSuchDocument
from collab.protocol.yjs.validation import UpdateOutline

__all__ = [
    "Archived",
    "Crowded",
    "Kept",
    "Recorded",
    "RecordedAsync",
    "RecordedFiles",
    "Timed",
    "Troubled",
    "Validated",
    "ValidatedAsync",
    "Versioned",
    "calls",
    "on_call",
]

#: Each call of a hook: its name, the document's key, and what it got.
calls: list[tuple[Any, ...]] = []
#: Called at each call of ``changed``.
on_call: list[Callable[[Change], object]] = []


def text_of(doc: Doc[Any]) -> str:
    """Return the text that the tests of types write."""
    return str(doc.get("text", type=Text))


@documents.register("recorded/<int:pk>")
class Recorded(documents.DocumentType):
    """Records the calls of all its hooks."""

    change_delay: ClassVar[float] = 0.0

    def authorize(self, user: Any, pk: int) -> Access:
        if pk == 404:
            raise NoSuchDocument
        return Access.WRITE if getattr(user, "pk", None) == pk else Access.READ

    def seed(self, doc: Doc[Any], pk: int) -> None:
        if pk > 100:
            doc.get("text", type=Text).insert(0, f"seed of {pk}")

    def created(self, change: Change, pk: int) -> None:
        calls.append(("created", pk))

    def changed(self, change: Change, pk: int) -> None:
        calls.append(("changed", pk, text_of(change.doc), list(change.user_ids)))
        for call in on_call:
            call(change)

    def deleted(self, pk: int) -> None:
        calls.append(("deleted", pk))

    def renamed(self, old: str, pk: int) -> None:
        calls.append(("renamed", pk, old))

    def get_absolute_url(self, pk: int) -> str:
        return f"/recorded/{pk}"


@documents.register("recorded/async/<slug:key>")
class RecordedAsync(documents.DocumentType):
    """Has coroutine functions for hooks."""

    change_delay: ClassVar[float] = 0.0
    atomic: ClassVar[bool] = False

    async def authorize(self, user: Any, key: str) -> Access:
        return Access.WRITE

    async def seed(self, doc: Doc[Any], key: str) -> None:
        doc.get("text", type=Text).insert(0, key)

    async def changed(self, change: Change, key: str) -> None:
        calls.append(("changed", key, text_of(await change.adoc())))


@documents.register("recorded/files/<path:path>")
class RecordedFiles(documents.DocumentType):
    """Has no methods that are called after a change."""

    def authorize(self, user: Any, path: str) -> Access:
        return Access.WRITE

    async def presence(self, user: Any, path: str) -> dict[str, Any] | None:
        return {"name": user.username} if user.is_authenticated else None


@documents.register("crowded/<slug:key>")
class Crowded(documents.DocumentType):
    """Answers for many users with one query: each has the access that the last name says."""

    def access_for(self, users: Sequence[Any], key: str) -> Mapping[Any, Any]:
        calls.append(("access_for", key, len(users)))
        known = get_user_model()._default_manager.filter(pk__in=[user.pk for user in users])
        labels = dict(known.values_list("pk", "last_name"))
        return {user: Access[labels[user.pk].upper()] for user in users if user.pk in labels}


@documents.register("versioned/<slug:key>")
class Versioned(documents.DocumentType):
    """Has a version, which tests raise."""

    version: ClassVar[int | None] = 1

    def authorize(self, user: Any, key: str) -> Access:
        return Access.WRITE

    def upgrade(self, doc: Doc[Any], before: int, key: str) -> None:
        calls.append(("upgrade", key, before))
        doc.get("text", type=Text).insert(0, f"v{before}>")


@documents.register("validated/<slug:key>")
class Validated(documents.DocumentType):
    """Refuses the text "bad", but of the user "moderator", and updates with "forbidden"."""

    change_delay: ClassVar[float] = 0.0

    def authorize(self, user: Any, key: str) -> Access:
        if key.startswith("private"):
            return Access.NONE
        return Access.READ if key.startswith("public") else Access.WRITE

    def seed(self, doc: Doc[Any], key: str) -> None:
        if key == "seeded":
            doc.get("text", type=Text).insert(0, "seed ")

    def validate(self, doc: Doc[Any], user: Any, key: str) -> None:
        calls.append(("validate", key, text_of(doc), getattr(user, "username", None)))
        is_bad = "bad" in text_of(doc) and getattr(user, "username", None) != "moderator"
        if is_bad or (key == "strict" and not text_of(doc)):
            raise ValidationError({"text": ["Do not write bad words."]})

    def check_update(self, member: Any, outline: UpdateOutline, key: str) -> None:
        if b"forbidden" in outline.update:
            raise ValidationError("This word is forbidden.")

    def changed(self, change: Change, key: str) -> None:
        calls.append(("changed", key, text_of(change.doc)))


@documents.register("validated/async/<slug:key>")
class ValidatedAsync(documents.DocumentType):
    """Refuses each document as a whole, in a coroutine function."""

    change_delay: ClassVar[float] = 0.0
    atomic: ClassVar[bool] = False

    def authorize(self, user: Any, key: str) -> Access:
        return Access.WRITE

    async def validate(self, doc: Doc[Any], user: Any, key: str) -> None:
        if text_of(doc):
            raise ValidationError("No text, please.")


@documents.register("kept/<slug:key>")
class Kept(documents.DocumentType):
    """Keeps a document's text in a file, and finds out if two calls for it run at once.

    The files are in the directory that the environment variable ``COLLAB_TEST_KEPT`` names.
    """

    change_delay: ClassVar[float] = 0.05
    change_max_delay: ClassVar[float] = 0.2

    def authorize(self, user: Any, key: str) -> Access:
        return Access.WRITE

    def changed(self, change: Change, key: str) -> None:
        directory = Path(os.environ["COLLAB_TEST_KEPT"])
        with (directory / f"{key}.lock").open("w") as lock:
            try:
                # The lock of a process that is killed ends with it.
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                (directory / f"{key}.twice").touch()
            with (directory / "processes").open("a") as processes:
                processes.write(f"{os.getpid()}\n")
            text = text_of(change.doc)
            # So that a test hits processes in the middle of this.
            Event().wait(0.02)
            (directory / f"{key}.new").write_text(text)
            (directory / f"{key}.new").replace(directory / key)


@documents.register("troubled/<slug:kind>/<int:number>")
class Troubled(documents.DocumentType):
    """Receivers that raise, hang, or take long; each call adds a line to a file."""

    atomic = False
    change_delay: ClassVar[float] = 0.05
    change_max_delay: ClassVar[float] = 0.2

    def authorize(self, user: Any, kind: str, number: int) -> Access:
        return Access.WRITE

    def changed(self, change: Change, kind: str, number: int) -> None:
        directory = Path(os.environ["COLLAB_TEST_KEPT"])
        with (directory / f"{kind}{number}").open("a") as file:
            file.write("called\n")
        if kind == "raises":
            raise RuntimeError("This receiver fails.")
        Event().wait(float(os.environ["COLLAB_TEST_SLOW"]) if kind == "slow" else None)
        (directory / f"{kind}{number}.done").touch()


@documents.register("timed/<slug:key>")
class Timed(documents.DocumentType):
    """Writes a line with the document's key and the time of the call, for ``bench/changes.py``."""

    change_delay: ClassVar[float] = 0.0

    def authorize(self, user: Any, key: str) -> Access:
        return Access.WRITE

    def changed(self, change: Change, key: str) -> None:
        with (Path(os.environ["COLLAB_TEST_KEPT"]) / "timed").open("a") as file:
            file.write(f"{key} {time()}\n")


if "COLLAB_TEST_LEASE" in os.environ:
    # What a killed process has leased is free again soon.
    Deliverer.LEASE_TIME = float(os.environ["COLLAB_TEST_LEASE"])


@documents.register("archived/<slug:slug>")
class Archived(documents.DocumentType):
    """Keeps versions. Staff may see and do all; others see those of today; nobody is let in."""

    content = "plain"
    history = documents.History(every=0)

    def authorize(self, user: Any, slug: str) -> Access:
        if slug == "raising":
            raise PermissionDenied
        if not getattr(user, "pk", None):
            return Access.NONE
        return Access.READ if slug.startswith("read") else Access.WRITE

    def can_restore(self, user: Any, slug: str) -> bool:
        return bool(user.is_staff)

    def versions_since(self, user: Any, slug: str) -> datetime | None:
        return None if user.is_staff else datetime.now(UTC) - timedelta(days=1)
