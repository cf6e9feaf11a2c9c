"""``collab_dispatch`` delivers changes where no ASGI server does."""

from __future__ import annotations

import io
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from pycrdt import Text

from collab import documents
from collab_storage.models import QueuedEvent
from tests.harness.waiting import poll_until
from tests.projects.documents import Recorded, calls

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _forget_calls() -> Iterator[None]:
    yield
    calls.clear()


def write(name: str) -> None:
    with documents.edit(name) as doc:
        doc.get("text", type=Text).insert(0, "Hello")


def dispatch(*arguments: str) -> str:
    out = io.StringIO()
    call_command("collab_dispatch", *arguments, stdout=out)
    return out.getvalue()


def test_changes_that_are_due_are_delivered(monkeypatch: pytest.MonkeyPatch) -> None:
    write("recorded/5")
    assert dispatch() == "Changes of 1 documents delivered.\n"
    assert [call[0] for call in calls] == ["created", "changed"]
    monkeypatch.setattr(Recorded, "change_delay", 100.0)
    write("recorded/5")
    assert dispatch() == "Changes of 0 documents delivered.\n"
    assert dispatch("--now") == "Changes of 1 documents delivered.\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_goes_on_until_it_is_asked_to_end(number: signal.Signals) -> None:
    write("recorded/5")
    before = {kind: signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)}

    def end_when_delivered() -> None:
        poll_until(lambda: len(calls) == 2)
        os.kill(os.getpid(), number)

    ender = threading.Thread(target=end_when_delivered)
    ender.start()
    try:
        assert dispatch("--loop") == "Changes are delivered as they become due; Ctrl+C ends.\n"
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
        ender.join()


def test_without_the_app_with_the_queue_it_says_what_to_do(monkeypatch: Any) -> None:
    monkeypatch.setattr(apps, "is_installed", lambda name: False)
    with pytest.raises(CommandError, match="add it to INSTALLED_APPS"):
        dispatch()


def test_without_the_table_of_the_queue_it_says_what_to_do(monkeypatch: Any) -> None:
    monkeypatch.setattr(QueuedEvent._meta, "db_table", "collab_storage_missing")
    with pytest.raises(CommandError, match=r"If its tables are missing: manage\.py migrate"):
        dispatch()
