"""``collab_serve`` starts a server that is set up for documents, or says what is missing."""

from __future__ import annotations

import gc
import io
import logging
import os
import signal
import sys
import threading
import urllib.request
from collections.abc import Iterator
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from tests.harness.ports import ReservedPort
from tests.harness.waiting import poll_until

pytestmark = pytest.mark.django_db(transaction=True)

DEFAULT_THRESHOLDS = 700, 10, 10

REDIS = {"default": {"BACKEND": "channels_redis.core.RedisChannelLayer"}}
SQLITE_FILE = {"STORAGE": {"BACKEND": "collab_storage.memory.MemoryStorage"}}


def serve(*arguments: str) -> str:
    out = io.StringIO()
    call_command("collab_serve", *arguments, stdout=out, skip_checks=True)
    return out.getvalue()


@pytest.fixture(autouse=True)
def _loggers() -> Iterator[None]:
    """Give uvicorn's loggers back what it takes from them when it serves."""
    loggers = [logging.getLogger(name) for name in ("uvicorn", "uvicorn.access", "uvicorn.error")]
    before = [(logger.level, logger.propagate, [*logger.handlers]) for logger in loggers]
    yield
    for logger, (level, propagate, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.propagate, logger.handlers = propagate, handlers


@pytest.fixture
def _collector() -> Iterator[None]:
    before = gc.get_threshold()
    # The application tunes the collector itself when it is imported.
    import_module("tests.harness.app")
    gc.unfreeze()
    gc.set_threshold(*DEFAULT_THRESHOLDS)
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


@pytest.mark.usefixtures("_collector")
@pytest.mark.parametrize(
    ("options", "application"),
    [
        ([], "tests.asgi.application"),
        ([], None),
        (["--tune-gc"], "tests.asgi.application"),
    ],
)
def test_it_serves_until_it_is_interrupted(
    options: list[str], application: str | None, settings: Any
) -> None:
    settings.ASGI_APPLICATION = application
    reservation = ReservedPort()
    port = reservation.number
    statuses: list[int] = []

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/collab/health/") as response:
                statuses.append(response.status)
        except urllib.error.HTTPError as error:
            statuses.append(error.code)
        except OSError:
            return False
        return True

    def interrupt() -> None:
        poll_until(answers)
        os.kill(os.getpid(), signal.SIGINT)

    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    assert (
        serve(str(port), *options)
        == f"Serving documents at http://127.0.0.1:{port}/ (Ctrl+C ends).\n"
    )
    interrupter.join()
    reservation.close()
    assert statuses
    assert bool(gc.get_freeze_count()) == bool(options)
    assert (gc.get_threshold() != DEFAULT_THRESHOLDS) == bool(options)


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        (["here"], {}, r"'here' is not valid: write HOST:PORT, or PORT alone\."),
        (["localhost:80000"], {}, "'localhost:80000' is not valid"),
        (["--workers", "2", "--reload"], {}, "--reload serves with one process"),
        (["--workers", "2"], {"CHANNEL_LAYERS": {}}, "2 processes keep a document equal through"),
        (
            ["--workers", "2"],
            {"CHANNEL_LAYERS": REDIS, "COLLAB": SQLITE_FILE},
            "MemoryStorage is not shared by processes",
        ),
        (["--tune-gc", "--reload"], {}, "--tune-gc is for one process without --reload"),
    ],
)
def test_it_says_what_is_missing(
    arguments: list[str], settings: dict[str, Any], message: str
) -> None:
    with override_settings(**settings), pytest.raises(CommandError, match=message):
        serve(*arguments)


def test_it_says_how_to_install_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(CommandError, match=r'pip install "django-collab\[server\]"'):
        serve()


@pytest.mark.parametrize("is_installed", [False, True])
def test_reloading_without_watchfiles_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, is_installed: bool
) -> None:
    watchfiles = ModuleType("watchfiles")
    watchfiles.__spec__ = ModuleSpec("watchfiles", None)
    monkeypatch.setitem(sys.modules, "watchfiles", watchfiles if is_installed else None)
    out = io.StringIO()
    with pytest.raises(CommandError, match="'here' is not valid"):
        call_command("collab_serve", "--reload", "here", stdout=out, skip_checks=True)
    assert ("watchfiles is not installed" in out.getvalue()) is not is_installed
