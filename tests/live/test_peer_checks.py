"""Settings and methods of RxDjango or djangochannelsrestframework that are ignored are named."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from channels.routing import URLRouter
from django.apps import AppConfig, apps
from django.core.checks import CheckMessage, run_checks
from django.urls import path

from collab.live import LiveConsumer


def found() -> list[CheckMessage]:
    return run_checks(tags=["collab"])


@pytest.mark.parametrize("name", ["DJANGO_CHANNELS_REST_API", "RX_FRONTEND_DIR", "MONGO_URL"])
def test_settings_of_peers_are_named(settings: Any, name: str) -> None:
    setattr(settings, name, {})
    [message] = found()
    assert (message.id, message.msg) == ("collab.E019", f"The setting {name} is not read.")
    assert message.hint


def test_settings_are_those_of_a_peer_that_is_installed(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.RX_FRONTEND_DIR = "there"
    is_installed = apps.is_installed
    monkeypatch.setattr(apps, "is_installed", lambda name: name == "rxdjango" or is_installed(name))
    assert found() == []


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An app of the project; its directory is yielded."""
    directory = tmp_path / "moved"
    directory.mkdir()
    (directory / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    import moved  # type: ignore[import-not-found]

    config = AppConfig("moved", moved)
    monkeypatch.setitem(apps.app_configs, "moved", config)
    yield directory
    sys.modules.pop("moved")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from rxdjango.channels import ContextChannel", ["collab.E020"]),
        ("from collab.live import LiveConsumer", ["collab.E020"]),
        ("something = 'else'", []),
        (None, []),
    ],
)
def test_a_module_of_channels_that_is_not_imported_is_named(
    app: Path, source: str | None, expected: list[str]
) -> None:
    if source is not None:
        (app / "channels.py").write_text(source)
    assert [message.id for message in found()] == expected


def test_a_module_without_a_source_is_not_read(app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (app / "channels.py").touch()
    monkeypatch.setattr(
        "collab.engine.connections.routes.find_spec", lambda name: ModuleSpec(name, loader=None)
    )
    assert found() == []


class Moved(LiveConsumer):
    async def receive_json(self, content: Any) -> None: ...


class Further(Moved):
    """Inherits it."""


def serve(monkeypatch: pytest.MonkeyPatch, *consumers: type[LiveConsumer]) -> None:
    routes = [path(each.__name__, each.as_asgi()) for each in consumers]
    module = ModuleType("moved_asgi")
    vars(module)["application"] = URLRouter(routes)
    monkeypatch.setitem(sys.modules, "moved_asgi", module)


def test_a_method_that_is_never_called_is_named(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.ASGI_APPLICATION = "moved_asgi.application"
    serve(monkeypatch, Further, LiveConsumer)
    [message] = found()
    assert (message.id, message.obj) == ("collab.E021", Further)
    assert "receive_json() is never called" in message.msg
    serve(monkeypatch, LiveConsumer)
    assert found() == []


def test_an_application_that_cannot_be_imported_is_named_by_another_check(settings: Any) -> None:
    settings.ASGI_APPLICATION = "nowhere.application"
    assert found() == []


def test_rules_with_the_parameters_of_a_peer_are_refused() -> None:
    with pytest.raises(TypeError, match=r"can_create.* not with model_class"):

        class Bound(LiveConsumer):
            def can_create(self, model_class: Any, parent: Any, data: Any) -> Any: ...  # type: ignore[override]

    with pytest.raises(TypeError, match=r"can_delete.* not with instance"):

        class Static(LiveConsumer):
            @staticmethod
            def can_delete(instance: Any) -> Any: ...  # type: ignore[override]


def test_rules_may_have_any_parameters() -> None:
    class Generous(LiveConsumer):
        @classmethod
        def can_save(cls, *args: Any, **kwargs: Any) -> Any: ...

    assert Generous.can_save() is None
