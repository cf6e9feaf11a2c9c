"""System checks: each names what is wrong and what to write instead."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from channels.auth import AuthMiddlewareStack
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application
from django.core.checks import CheckMessage, run_checks
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.test import override_settings
from django.urls import path, re_path

from collab import checks, conf, documents
from collab.access import Access
from collab.checks import TAG
from collab.consumers import YjsConsumer
from collab.documents.registry import Registry
from collab_storage.memory import MemoryStorage

MEMORY = {"BACKEND": "collab_storage.memory.MemoryStorage"}


def found(*, deploy: bool = False) -> list[CheckMessage]:
    """Return what all checks of the app say, as ``manage.py check`` would."""
    return run_checks(tags=[TAG], include_deployment_checks=deploy)


def ids(*, deploy: bool = False) -> list[str | None]:
    return [message.id for message in found(deploy=deploy)]


def the_one(*, deploy: bool = False) -> CheckMessage:
    [message] = found(deploy=deploy)
    assert message.hint
    return message


def test_the_tests_own_project_is_sound() -> None:
    assert found() == []


# Settings.


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("MAX_FRAMESIZE", "Did you mean MAX_FRAME_SIZE?"),
        ("max_rooms", "Did you mean MAX_ROOMS?"),
        ("COLOUR", "docs/settings.md lists them."),
        (7, "docs/settings.md lists them."),
    ],
)
def test_a_key_that_is_no_setting(key: object, hint: str) -> None:
    with override_settings(COLLAB={key: 1}):
        message = the_one()
    assert (message.id, message.hint) == ("collab.E001", hint)
    assert repr(key) in message.msg


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("MAX_ROOMS", "many", "a whole number, more than 0"),
        ("MAX_ROOMS", 1.5, "a whole number, more than 0"),
        ("MAX_ROOMS", True, "a whole number, more than 0"),
        ("MAX_ROOMS", -1, "finite and more than 0"),
        ("MAX_ROOMS", 0, "finite and more than 0"),
        ("SEND_TIMEOUT", None, "a number, more than 0"),
        ("SEND_TIMEOUT", float("inf"), "finite and more than 0"),
        ("SEND_TIMEOUT", float("nan"), "finite and more than 0"),
        ("UNLOAD_DELAY", -1, "finite and 0 or more"),
        ("SPOOL_DIRECTORY", None, "a path"),
    ],
)
def test_a_value_that_is_no_limit(key: str, value: object, problem: str) -> None:
    with override_settings(COLLAB={key: value}):
        message = the_one()
    assert message.id == "collab.E002"
    assert message.msg == f'COLLAB["{key}"] must be {problem}, not {value!r}.'


@pytest.mark.parametrize(
    "configured",
    [
        {"SPOOL_DIRECTORY": Path("spool")},
        {"SEND_TIMEOUT": 5},
        {"MESSAGE_RATE": 0.5},
        {"UNLOAD_DELAY": 0},
        {"STORAGE": MEMORY},
    ],
)
def test_values_that_are_right(configured: dict[str, Any]) -> None:
    with override_settings(COLLAB=configured):
        assert found() == []


@pytest.mark.parametrize(
    "storage",
    [
        None,
        "collab_storage.memory.MemoryStorage",
        {},
        {"BACKEND": MemoryStorage},
        {**MEMORY, "OPTIONS": []},
        {**MEMORY, "LOCATION": "x"},
    ],
)
def test_a_storage_setting_of_the_wrong_shape(storage: object) -> None:
    with override_settings(COLLAB={"STORAGE": storage}):
        message = the_one()
    assert message.id == "collab.E002"
    assert '"BACKEND" (a dotted path)' in message.msg


def test_settings_that_are_no_dictionary() -> None:
    with override_settings(COLLAB=["MAX_ROOMS"]):
        assert the_one().id == "collab.E002"


def test_a_project_without_settings_of_its_own(settings: Any) -> None:
    del settings.COLLAB
    assert found() == []


# Storage.


@pytest.mark.parametrize(
    "storage",
    [
        {"BACKEND": "collab_storage.nowhere.Storage"},
        {"BACKEND": "Storage"},
        {**MEMORY, "OPTIONS": {"size": 1}},
        {"BACKEND": "collections.OrderedDict"},
    ],
)
def test_a_storage_that_cannot_be_made(storage: dict[str, Any]) -> None:
    with override_settings(COLLAB={"STORAGE": storage}):
        assert the_one().id == "collab.E003"


def test_a_database_that_confuses_names_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(type(connections["default"]), "vendor", "mysql")
    get_storage_anew()
    message = the_one()
    assert message.id == "collab.E003"
    assert '"Note" and "note" would be one document' in message.msg


async def test_a_database_that_confuses_names_is_not_asked_anything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Where no check runs, as in uvicorn, the first connection is refused with this error.
    wrapper = type(connections["default"])
    monkeypatch.setattr(wrapper, "vendor", "mysql")
    monkeypatch.setattr(wrapper, "display_name", property(lambda self: self.cursor()))
    get_storage_anew()
    with pytest.raises(ImproperlyConfigured, match="MySQL or MariaDB compares names"):
        conf.get_storage()


def test_a_database_with_a_schema_for_each_tenant_needs_tenants_in_names(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrapper = type(connections["default"])
    monkeypatch.setattr(wrapper, "set_schema", lambda self, name: None, raising=False)
    get_storage_anew()
    message = the_one()
    assert message.id == "collab.E003"
    assert "tenants could read each other's documents" in message.msg
    backend = "collab_storage.orm.ORMStorage"
    settings.COLLAB = {"STORAGE": {"BACKEND": backend, "OPTIONS": {"tenants": "in names"}}}
    assert found() == []
    settings.COLLAB = {"STORAGE": {"BACKEND": backend, "OPTIONS": {"tenants": "yes"}}}
    assert the_one().id == "collab.E003"


def get_storage_anew() -> None:
    conf._make_storage.cache_clear()


@pytest.fixture(autouse=True)
def forget_storage() -> Iterator[None]:
    yield
    get_storage_anew()


def test_the_tables_are_not_installed(
    settings: Any, without_orm: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "collab_storage"]
    # Document types that are called after changes need them, too.
    monkeypatch.setattr("collab.documents.registry._registrations", Registry())
    settings.COLLAB = {}
    message = the_one()
    assert message.id == "collab.E004"
    assert message.hint is not None and '"collab_storage"' in message.hint
    settings.COLLAB = {"STORAGE": MEMORY}
    assert found() == []


@pytest.fixture
def without_orm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the modules with the models be imported anew, as in a project that starts."""
    for name in ("orm", "_queries", "models"):
        monkeypatch.delitem(sys.modules, f"collab_storage.{name}", raising=False)


class Clumsy(MemoryStorage):
    def __init__(self) -> None:
        raise RuntimeError("no disk")


def test_an_error_of_the_backend_itself_is_not_hidden() -> None:
    storage = {"BACKEND": f"{__name__}.Clumsy"}
    with override_settings(COLLAB={"STORAGE": storage}), pytest.raises(RuntimeError):
        found()


def test_a_database_that_does_not_exist() -> None:
    storage = {
        "BACKEND": "collab_storage.orm.ORMStorage",
        "OPTIONS": {"using": "documents"},
    }
    with override_settings(COLLAB={"STORAGE": storage}):
        message = the_one()
    assert message.id == "collab.E005"
    assert "'documents'" in message.msg


GOOD = {
    "init_command": "PRAGMA synchronous=NORMAL; PRAGMA journal_mode = wal;",
    "timeout": 5,
    "transaction_mode": "exclusive",
}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {**GOOD, "init_command": "PRAGMA synchronous=NORMAL"},
        {**GOOD, "transaction_mode": "DEFERRED"},
        {**GOOD, "timeout": 0},
    ],
)
def test_a_sqlite_database_that_will_be_locked(
    options: dict[str, Any], sqlite_options: Callable[[dict[str, Any]], None]
) -> None:
    sqlite_options(options)
    message = the_one()
    assert message.id == "collab.W001"
    assert message.hint is not None and "journal_mode=WAL" in message.hint


def test_a_sqlite_database_as_it_should_be(
    sqlite_options: Callable[[dict[str, Any]], None],
) -> None:
    sqlite_options(GOOD)
    assert found() == []


@pytest.fixture
def sqlite_options(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Any]], None]:
    """Return a function that sets the options of the default database."""
    from django.db import connection

    def use(options: dict[str, Any]) -> None:
        monkeypatch.setitem(connection.settings_dict, "OPTIONS", options)

    return use


def test_another_database_than_sqlite_is_not_asked_for_its_options() -> None:
    storage = {"BACKEND": "collab_storage.orm.ORMStorage", "OPTIONS": {"using": "postgres"}}
    with override_settings(COLLAB={"STORAGE": storage}):
        assert found() == []


# Processes.


@pytest.mark.parametrize("processes", ["1", "0", "auto", ""])
def test_one_process(processes: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", processes)
    assert found() == []


REDIS = {"default": {"BACKEND": "channels_redis.core.RedisChannelLayer"}}
IN_MEMORY = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}


@pytest.mark.parametrize("layers", [{}, IN_MEMORY])
def test_several_processes_without_a_shared_layer(
    layers: dict[str, Any], monkeypatch: pytest.MonkeyPatch, guarded: None
) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "4")
    with override_settings(CHANNEL_LAYERS=layers):
        message = the_one(deploy=True)
    assert message.id == "collab.W002"
    assert "4 server processes" in message.msg


def test_several_processes_with_documents_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "4")
    with override_settings(CHANNEL_LAYERS=REDIS, COLLAB={"STORAGE": MEMORY}):
        message = the_one()
    assert message.id == "collab.W007"
    assert "MemoryStorage is not shared" in message.msg


def test_several_processes_with_all_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "4")
    with override_settings(CHANNEL_LAYERS=REDIS):
        assert found() == []


@pytest.mark.parametrize(
    "collab", [{"MAX_ROOM": 1}, {"STORAGE": {"BACKEND": "collab_storage.nowhere.Storage"}}]
)
def test_several_processes_with_settings_that_are_wrong(
    collab: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "4")
    with override_settings(CHANNEL_LAYERS=REDIS, COLLAB=collab):
        assert the_one().id in ("collab.E001", "collab.E003")


@pytest.mark.parametrize(
    ("layers", "expected"),
    [({}, ["collab.W003"]), (IN_MEMORY, ["collab.W003"]), (REDIS, [])],
)
def test_a_channel_layer_that_is_not_shared(
    layers: dict[str, Any], expected: list[str], guarded: None
) -> None:
    with override_settings(CHANNEL_LAYERS=layers):
        assert ids(deploy=True) == expected
        assert ids() == []


# Routing.


def test_djangos_own_runserver_answers_no_websockets(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["manage.py", "runserver", "8001"])
    apps = {"django.core": True, "django.contrib.staticfiles": True, "daphne": False}
    for app, warned in apps.items():
        monkeypatch.setattr(checks, "get_commands", lambda app=app: {"runserver": app})
        assert ids() == (["collab.W008"] if warned else [])
    monkeypatch.setattr(sys, "argv", ["manage.py", "check"])
    monkeypatch.setattr(checks, "get_commands", lambda: {"runserver": "django.core"})
    assert found() == []


class Notes(documents.DocumentType):
    def authorize(self, user: Any, *args: Any, **parameters: Any) -> Access:
        return Access.READ


class Open(YjsConsumer):
    """Everybody may write."""


class Authorizing(YjsConsumer):
    async def authorize(self) -> Access:
        return Access.READ


class Refusing(YjsConsumer):
    async def connect(self) -> None:
        await self.close()


class Other(AsyncWebsocketConsumer):  # type: ignore[misc]  # Channels has no types.
    pass


def function_middleware(inner: Any) -> Any:
    async def middleware(scope: Any, receive: Any, send: Any) -> None:
        await inner(scope, receive, send)

    async def never_called() -> object:
        return missing

    if inner is None:
        missing = inner
    middleware.never_called = never_called  # type: ignore[attr-defined]
    return middleware


class ClassMiddleware:
    def __init__(self, next_one: Any) -> None:
        self.next_one = next_one
        self.consumer_base = YjsConsumer
        self.itself = self

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.next_one(scope, receive, send)


ROUTES = [
    path("open/<name>", Open.as_asgi()),
    path("authorizing/<name>", Authorizing.as_asgi()),
    path("refusing/<name>", Refusing.as_asgi()),
    path("other", Other.as_asgi()),
]


def project(websocket: Any) -> Any:
    return ProtocolTypeRouter({"http": get_asgi_application(), "websocket": websocket})


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Callable[[Any], None]:
    """Return a function that makes an application that of the project."""
    settings.CHANNEL_LAYERS = REDIS
    settings.ASGI_APPLICATION = "served.asgi.application"

    def use(application: Any) -> None:
        module = ModuleType("served.asgi")
        vars(module)["application"] = application
        monkeypatch.setitem(sys.modules, "served", ModuleType("served"))
        monkeypatch.setitem(sys.modules, "served.asgi", module)

    return use


@pytest.fixture
def guarded(serve: Callable[[Any], None]) -> None:
    """Serve nothing that a check warns of."""
    serve(project(URLRouter(ROUTES[1:])))


@pytest.mark.parametrize(
    "application",
    [
        URLRouter(ROUTES),
        project(URLRouter(ROUTES)),
        project(AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(ROUTES)))),
        project(URLRouter([path("ws/", URLRouter(ROUTES))])),
        project(function_middleware(ClassMiddleware(URLRouter(ROUTES)))),
        project(Open.as_asgi()),
    ],
)
def test_a_consumer_without_a_refusal_is_found(
    application: Any, serve: Callable[[Any], None]
) -> None:
    serve(application)
    message = the_one(deploy=True)
    assert (message.id, message.obj) == ("collab.W005", Open)
    assert message.msg.startswith("tests.collab.test_checks.Open lets all users into")


def test_a_consumer_that_decides_nothing_refuses_every_user_by_default(
    serve: Callable[[Any], None], settings: Any
) -> None:
    settings.COLLAB = {}
    serve(URLRouter(ROUTES))
    assert "Open refuses all users" in the_one(deploy=True).msg


def test_a_consumer_that_serves_document_types_needs_no_more(
    serve: Callable[[Any], None], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.COLLAB = {}
    serve(URLRouter([path("ws/<path:room>", YjsConsumer.as_asgi())]))
    monkeypatch.setattr("collab.documents.registry._registrations", Registry())
    assert the_one(deploy=True).id == "collab.W005"
    documents.register("notes/<int:pk>")(Notes)
    assert ids(deploy=True) == []


@pytest.mark.parametrize(
    "application",
    [
        project(URLRouter(ROUTES[1:])),
        ProtocolTypeRouter({"http": get_asgi_application()}),
    ],
)
def test_consumers_that_can_refuse(application: Any, serve: Callable[[Any], None]) -> None:
    serve(application)
    assert ids(deploy=True) == []


def test_no_application_is_named(settings: Any) -> None:
    settings.CHANNEL_LAYERS = REDIS
    del settings.ASGI_APPLICATION
    assert ids(deploy=True) == ["collab.W004"]


def test_the_application_cannot_be_imported(settings: Any) -> None:
    settings.CHANNEL_LAYERS = REDIS
    settings.ASGI_APPLICATION = "nowhere.asgi.application"
    message = the_one(deploy=True)
    assert message.id == "collab.W006"
    assert "nowhere.asgi" in message.msg


@pytest.mark.parametrize(
    "make", [get_asgi_application, lambda: ASGIStaticFilesHandler(get_asgi_application())]
)
def test_djangos_own_application_answers_no_websockets(
    make: Callable[[], Any], serve: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(make())
    message = the_one(deploy=True)
    assert message.id == "collab.W010"
    assert "served.asgi.application" in message.msg
    assert found() == []
    monkeypatch.setattr(sys, "argv", ["manage.py", "collab_serve", "8001"])
    assert ids() == ["collab.W010"]
    monkeypatch.setattr(sys, "argv", ["manage.py", "collab_serve", "--workers=2"])
    assert ids() == []


class Twin(YjsConsumer):
    async def authorize(self) -> Access:
        return Access.WRITE


class Prefixed(Twin):
    def make_room_name(self) -> str:
        return f"twin/{super().make_room_name()}"


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        (
            [path("a/<room>", Authorizing.as_asgi()), path("b/<room>", Twin.as_asgi())],
            ["collab.W009"],
        ),
        (
            [path("a/<room>", Authorizing.as_asgi()), re_path("b/(?P<room>.+)", Twin.as_asgi())],
            ["collab.W009"],
        ),
        ([path("a/<room>", Authorizing.as_asgi()), path("b/<room>", Prefixed.as_asgi())], []),
        ([path("a/<room>", Authorizing.as_asgi()), path("b/<name>", Twin.as_asgi())], []),
        ([path("a/<room>", Twin.as_asgi()), path("b/<room>", Twin.as_asgi())], []),
    ],
)
def test_routes_that_open_each_others_documents_are_found(
    routes: list[Any], expected: list[str], serve: Callable[[Any], None]
) -> None:
    serve(URLRouter(routes))
    assert ids(deploy=True) == expected
