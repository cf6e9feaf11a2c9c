"""System checks of the project's settings and routing."""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

from channels.routing import get_default_application
from django.apps import apps
from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.asgi import ASGIHandler
from django.core.management import get_commands, load_command_class
from django.db import DEFAULT_DB_ALIAS, connections

from collab.engine.connections.routes import Route, consumers, full_name, source_of
from collab_storage.base import Storage

from .conf import (
    Settings,
    get_settings,
    get_storage,
    has_shared_layer,
    unknown_settings,
)

if TYPE_CHECKING:
    from collab_storage.orm import ORMStorage

    from .consumers import YjsConsumer

__all__ = [
    "check_application",
    "check_authorize",
    "check_channel_layer",
    "check_database",
    "check_mirror_app",
    "check_processes",
    "check_room_names",
    "check_runserver",
    "check_served",
    "check_settings",
    "check_storage",
    "check_websockets",
]

#: ``manage.py check --tag collab`` runs these alone.
TAG = "collab"

#: Settings that may be zero: then there is no waiting.
_MAY_BE_ZERO = {"WRITE_DELAY", "UNLOAD_DELAY", "CLOSE_TIMEOUT", "DRAIN_TIME", "TRUSTED_PROXIES"}

_DOCUMENTED = "docs/settings.md lists them."


# Settings.


@register(TAG)
def check_settings(**kwargs: object) -> list[CheckMessage]:
    """Check the keys of ``COLLAB`` and their values (E001, E002)."""
    configured = getattr(django_settings, "COLLAB", {})
    if not isinstance(configured, Mapping):
        hint = 'Write COLLAB = {"MAX_ROOMS": 1000}, for example.'
        return [Error("COLLAB is not a dictionary.", hint=hint, id="collab.E002")]
    unknown = [_unknown(key) for key in unknown_settings()]
    wrong = [Error(text, hint=_DOCUMENTED, id="collab.E002") for text in _wrong_values(configured)]
    return [*unknown, *wrong]


def _unknown(key: str) -> CheckMessage:
    known = [setting.name for setting in fields(Settings)]
    close = get_close_matches(str(key).upper(), known, n=1)
    hint = f"Did you mean {close[0]}?" if close else _DOCUMENTED
    return Error(f"COLLAB has no setting {key!r}.", hint=hint, id="collab.E001")


def _wrong_values(configured: Mapping[str, Any]) -> Iterator[str]:
    types = get_type_hints(Settings)
    for key, value in configured.items():
        if key == "STORAGE":
            if not _is_storage_setting(value):
                yield (
                    'COLLAB["STORAGE"] must be a dictionary with a "BACKEND" (a dotted path) and,'
                    ' if it takes any, "OPTIONS" (a dictionary).'
                )
        elif key in types and (problem := _problem(key, value, types[key])):
            yield f'COLLAB["{key}"] must be {problem}, not {value!r}.'


def _is_storage_setting(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and value.keys() <= {"BACKEND", "OPTIONS"}
        and isinstance(value.get("BACKEND"), str)
        and isinstance(value.get("OPTIONS", {}), Mapping)
    )


def _problem(key: str, value: object, wanted: object) -> str | None:
    """Return the kind of value that is wanted, if the value is of another."""
    if get_origin(wanted) is Literal:
        choices = get_args(wanted)
        return None if value in choices else "one of " + ", ".join(map(repr, choices))
    if wanted not in (int, float):
        return None if isinstance(value, (str, os.PathLike)) else "a path"
    least = "0 or more" if key in _MAY_BE_ZERO else "more than 0"
    noun = "a whole number" if wanted is int else "a number"
    number = int if wanted is int else (int, float)
    if isinstance(value, bool) or not isinstance(value, number):
        return f"{noun}, {least}"
    if math.isfinite(value) and (value > 0 or (value == 0 and key in _MAY_BE_ZERO)):
        return None
    return f"finite and {least}"


# Storage.


@register(TAG)
def check_storage(**kwargs: object) -> list[CheckMessage]:
    """Check that the storage can be made, and has its tables and its database (E003-E005)."""
    if check_settings():
        return []
    try:
        storage = get_storage()
    except ImproperlyConfigured as error:
        return [Error(str(error), hint="See docs/storage.md.", id="collab.E003")]
    except RuntimeError:
        # Django refuses a model whose app is not installed with this error.
        if apps.is_installed("collab_storage"):
            raise
        return [_missing_app()]
    if not isinstance(storage, Storage):
        hint = "Derive it from collab_storage.base.Storage."
        return [Error(f"{storage!r} is not a Storage.", hint=hint, id="collab.E003")]
    alias = getattr(_as_orm(storage), "using", DEFAULT_DB_ALIAS)
    return [] if alias in connections.databases else [_missing_database(alias)]


def _missing_app() -> CheckMessage:
    return Error(
        "Documents are stored in the database, but the app with their tables is not installed.",
        hint='Add "collab_storage" to INSTALLED_APPS and run manage.py migrate.',
        id="collab.E004",
    )


def _missing_database(alias: str) -> CheckMessage:
    return Error(
        f"Documents are stored in the database {alias!r}, which is not in DATABASES.",
        hint='Correct "using" in COLLAB["STORAGE"]["OPTIONS"].',
        id="collab.E005",
    )


def _as_orm(storage: Storage) -> ORMStorage | None:
    """Return ``storage`` if it stores documents in one of the project's databases."""
    if not apps.is_installed("collab_storage"):
        return None
    # Its models cannot be imported if they are not installed.
    from collab_storage.orm import ORMStorage

    return storage if isinstance(storage, ORMStorage) else None


_SQLITE_OPTIONS = """\
"OPTIONS": {
    "init_command": "PRAGMA journal_mode=WAL",
    "timeout": 20,
    "transaction_mode": "IMMEDIATE",
}"""


@register(TAG)
def check_database(**kwargs: object) -> list[CheckMessage]:
    """Check that SQLite lets a page be read and two writers take turns (W001)."""
    if check_settings() or check_storage():
        return []
    storage = _as_orm(get_storage())
    if storage is None or connections[storage.using].vendor != "sqlite":
        return []
    options = connections[storage.using].settings_dict["OPTIONS"]
    wal = "wal" in str(options.get("init_command")).lower()
    immediate = str(options.get("transaction_mode")).upper() in ("IMMEDIATE", "EXCLUSIVE")
    if wal and immediate and options.get("timeout"):
        return []
    return [
        Warning(
            f"The SQLite database {storage.using!r} will refuse some writes with"
            ' "database is locked".',
            hint=f"Write in DATABASES[{storage.using!r}]:\n{_SQLITE_OPTIONS}",
            id="collab.W001",
        )
    ]


# Rows.


@register(TAG)
def check_mirror_app(**kwargs: object) -> list[CheckMessage]:
    """Check that the mirrors that apps declare are read (E006)."""
    if apps.is_installed("collab.mirror"):
        return []
    return [
        Error(
            f"{app.name}.mirrors is not read: the app that reads mirrors is not installed.",
            hint='Add "collab.mirror" to INSTALLED_APPS and run manage.py migrate.',
            id="collab.E006",
        )
        for app in apps.get_app_configs()
        if "collab.mirror" in source_of(app, "mirrors")
    ]


# Processes.

_LAYER = """\
Install "django-collab[redis]" and write:
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": ["redis://localhost:6379"]},
    }
}"""


@register(TAG)
def check_processes(**kwargs: object) -> list[CheckMessage]:
    """Check that several server processes share a channel layer and a storage (W002, W007)."""
    processes = _processes()
    if processes == 1:
        return []
    messages: list[CheckMessage] = []
    if not has_shared_layer():
        text = (
            f"WEB_CONCURRENCY starts {processes} server processes without a shared channel layer:"
            " a document that is open in two of them is not kept equal while it is edited."
        )
        messages.append(Warning(text, hint=_LAYER, id="collab.W002"))
    if not check_settings() and not check_storage() and not get_storage().shared:
        text = (
            f"WEB_CONCURRENCY starts {processes} server processes, each of which will have"
            f" documents of its own: {type(get_storage()).__name__} is not shared."
        )
        hint = "Use a storage that is, see docs/storage.md."
        messages.append(Warning(text, hint=hint, id="collab.W007"))
    return messages


@register(TAG, deploy=True)
def check_channel_layer(**kwargs: object) -> list[CheckMessage]:
    """Check that changes by other processes reach open documents at once (W003).

    The number of server processes is not known here, but management commands and task workers
    are processes, too.
    """
    if has_shared_layer() or _processes() > 1:
        return []
    return [
        Warning(
            "No channel layer is shared by processes: members see changes by management commands,"
            " task workers and other server processes late, when the storage is polled, by default"
            " within ten seconds.",
            hint=f"{_LAYER}\nOr silence this check if that is soon enough, see docs/scaling.md.",
            id="collab.W003",
        )
    ]


def _processes() -> int:
    """Return the number of server processes, as far as the environment has it."""
    number = os.environ.get("WEB_CONCURRENCY", "1")
    return max(1, int(number)) if number.isdecimal() else 1


# Routing.


@register(TAG, deploy=True)
def check_application(**kwargs: object) -> list[CheckMessage]:
    """Check that ``ASGI_APPLICATION`` says where the routing is (W004).

    In development ``collab_serve`` does without one.
    """
    if getattr(django_settings, "ASGI_APPLICATION", None):
        return []
    return [
        Warning(
            "ASGI_APPLICATION is not set, so the consumers in the routing cannot be checked.",
            hint='Write ASGI_APPLICATION = "mysite.asgi.application" with your project\'s name.',
            id="collab.W004",
        )
    ]


@register(TAG, deploy=True)
def check_websockets(**kwargs: object) -> list[CheckMessage]:
    """Check that the ASGI application is not Django's own, as ``startproject`` writes it (W010)."""
    path = getattr(django_settings, "ASGI_APPLICATION", None)
    if not path:
        return []
    try:
        application = get_default_application()
    except ImproperlyConfigured:
        return []
    if not isinstance(application, ASGIHandler):
        return []
    return [
        Warning(
            f"{path} is Django's own application, which does not answer websockets: each is an"
            " error 500.",
            hint="Import get_application of collab.asgi there, and write:"
            " application = get_application()",
            id="collab.W010",
        )
    ]


@register(TAG)
def check_served(**kwargs: object) -> list[CheckMessage]:
    """Check that the application that ``collab_serve`` is about to serve answers websockets.

    A process that only starts others does not import the application.
    """
    is_served_here = sys.argv[1:2] == ["collab_serve"] and not any(
        argument.startswith(("--reload", "--workers")) for argument in sys.argv
    )
    return check_websockets() if is_served_here else []


@register(TAG)
def check_runserver(**kwargs: object) -> list[CheckMessage]:
    """Check that the server that is being started answers websockets (W008)."""
    if sys.argv[1:2] != ["runserver"] or _has_asgi_runserver():
        return []
    return [
        Warning(
            "Django's runserver does not answer websockets: each is a 404.",
            hint='Install daphne, and add "daphne" to INSTALLED_APPS before'
            ' "django.contrib.staticfiles"; or serve the project with manage.py collab_serve.',
            id="collab.W008",
        )
    ]


def _has_asgi_runserver() -> bool:
    """Return whether any app but Django's and ours has a part in ``manage.py runserver``."""
    command = load_command_class(get_commands()["runserver"], "runserver")
    bases = type(command).__mro__[:-1]
    return not all(base.__module__.startswith(("django.", "collab.")) for base in bases)


@register(TAG, deploy=True)
def check_authorize(**kwargs: object) -> list[CheckMessage]:
    """Check that each consumer decides who may connect (W005, W006)."""
    if check_application() or check_settings():
        return []
    try:
        found = _consumers()
    except ImproperlyConfigured as error:
        hint = "Correct ASGI_APPLICATION: the dotted path of the application in your asgi.py."
        return [Warning(str(error), hint=hint, id="collab.W006")]
    is_closed = get_settings().DEFAULT_ACCESS == "none"
    effect = "refuses all users of" if is_closed else "lets all users into"
    return [
        Warning(
            f"{full_name(consumer)} {effect} documents without a type.",
            hint="Override authorize() in a consumer of your own or register document types, see"
            " docs/auth.md; or give a LiveConsumer permission_classes, see docs/live.md.",
            obj=consumer,
            id="collab.W005",
        )
        for consumer in found
        if consumer.is_open_to_everybody() and not (is_closed and _serves_types(consumer))
    ]


def _serves_types(consumer: type) -> bool:
    """Return whether a consumer is the one that serves document types, and there are some."""
    from collab.documents.registry import registrations

    from .consumers import YjsConsumer

    return consumer is YjsConsumer and bool(registrations())


@register(TAG, deploy=True)
def check_room_names(**kwargs: object) -> list[CheckMessage]:
    """Check that no two consumers decide differently about the same documents (W009)."""
    if check_application() or check_authorize():
        return []
    deciding: dict[object, type[YjsConsumer]] = {}
    for consumer in _consumers(lambda route: "room" in _captured(route)):
        # Names that a project makes itself, and those of states, have a part of their own.
        has_state = hasattr(getattr(consumer, "Meta", None), "state")
        if consumer.make_room_name.__module__.startswith("collab.") and not has_state:
            permissions = tuple(getattr(consumer, "permission_classes", ()))
            decision = consumer.authorize, consumer.connect, permissions
            deciding.setdefault(decision, consumer)
    if len(deciding) < 2:
        return []
    names = " and ".join(sorted(map(full_name, deciding.values())))
    return [
        Warning(
            f"{names} open documents of the same names, and decide differently who may.",
            hint="Override make_room_name() so that each has a prefix of its own, or let document"
            " types decide, see docs/auth.md.",
            id="collab.W009",
        )
    ]


def _consumers(
    is_wanted: Callable[[Route], bool] = lambda route: True,
) -> list[type[YjsConsumer]]:
    """Return the project's consumers of documents; see :func:`consumers`.

    Raises:
        ImproperlyConfigured: the application cannot be imported.
    """
    # Not at the top: every management command would wait for it.
    from .consumers import YjsConsumer

    return consumers(YjsConsumer, get_default_application(), is_wanted)


def _captured(route: Route) -> set[str]:
    """Return the names of the arguments that a route's patterns find in the URL."""
    names: set[str] = set()
    for pattern in route.patterns:
        names |= {*pattern.converters} | {*getattr(pattern, "regex", re.compile("")).groupindex}
    return names
