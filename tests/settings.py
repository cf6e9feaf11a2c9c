"""Settings of the tests, and of the servers that they start as processes of their own.

Those get what differs from the run that started them through the environment:

    COLLAB_TEST_DIR         directory of this run's files; made by ``conftest``
    COLLAB_TEST_DATABASE    URL of the default database: sqlite:///path or postgresql://...
    COLLAB_TEST_POSTGRES    URL of the database of the alias "postgres"
    COLLAB_TEST_REDIS       URL of the Redis that carries the channel layer; in memory if unset
    COLLAB_TEST_LAYER       which layer it carries: core (the default), pubsub, lossy, or forgetful
    COLLAB_TEST_SECRET_KEY  SECRET_KEY, by which projects that share a Redis are kept apart
    COLLAB_TEST_SETTINGS    the setting COLLAB, as JSON; "RELAY" in it are RelayTimings,
                            "CONSTANTS" values of constants by their dotted paths
"""

import json
import os
import secrets
import tempfile
from pathlib import Path
from typing import Any

from collab.engine.relay import timings

# A run that is killed leaves its directory, and numbers of processes are used again.
_NAME = f"collab-{os.getpid()}-{secrets.token_hex(4)}"
DIRECTORY = Path(os.environ.setdefault("COLLAB_TEST_DIR", f"{tempfile.gettempdir()}/{_NAME}"))
# A socket in a directory: no port that another process could take while the server is stopped.
POSTGRES = os.environ.get(
    "COLLAB_TEST_POSTGRES", f"postgresql:///collab?user=collab&host={DIRECTORY / 'postgres'}"
)


def sqlite(path: Path) -> dict[str, Any]:
    """Return the settings of a SQLite database as a project in production should have them."""
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": path,
        "OPTIONS": {
            "init_command": "PRAGMA journal_mode=WAL",
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
        },
        # A file, for other threads and processes do not see a database in memory.
        "TEST": {"NAME": path.with_name(f"test-{path.name}")},
    }


def postgres(url: str) -> dict[str, Any]:
    """Return the settings of the PostgreSQL database at the libpq URL ``url``."""
    # Only those who use PostgreSQL need its driver.
    from psycopg.conninfo import conninfo_to_dict

    names = {
        "dbname": "NAME",
        "user": "USER",
        "password": "PASSWORD",
        "host": "HOST",
        "port": "PORT",
    }
    given = conninfo_to_dict(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        **{names[key]: value for key, value in given.items()},
    }


def database(url: str) -> dict[str, Any]:
    """Return the settings of the database at ``url``."""
    scheme, _, path = url.partition("://")
    return sqlite(Path(path)) if scheme == "sqlite" else postgres(url)


def channel_layer(redis: str | None) -> dict[str, Any]:
    """Return the settings of a channel layer on the Redis at the URL ``redis``, or in memory."""
    if redis is None:
        return {"BACKEND": "channels.layers.InMemoryChannelLayer"}
    core = {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": [redis]}}
    pubsub = {**core, "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer"}
    lossy = {"BACKEND": "collab.testing.LossyChannelLayer", "CONFIG": {"layer": core}}
    # It forgets after seconds who is in a group, as the others do after a day.
    forgetful = {**core, "CONFIG": {"hosts": [redis], "group_expiry": 3}}
    layers = {"core": core, "pubsub": pubsub, "lossy": lossy, "forgetful": forgetful}
    return layers[os.environ.get("COLLAB_TEST_LAYER", "core")]


SECRET_KEY = os.environ.get("COLLAB_TEST_SECRET_KEY", "tests")
ALLOWED_HOSTS = ["*"]
USE_TZ = True
ROOT_URLCONF = "tests.urls"
ASGI_APPLICATION = "tests.asgi.application"
STATIC_URL = "static/"

INSTALLED_APPS = [
    "collab",
    "collab.mirror",
    "collab.live",
    "collab.editor",
    "collab_storage",
    "tests.projects",
    "tests.rows",
    "tests.texts",
    "channels",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "rest_framework.authtoken",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
# Tests make many users; none of their passwords is worth the time.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

DATABASES = {
    "default": database(
        os.environ.get("COLLAB_TEST_DATABASE", f"sqlite://{DIRECTORY / 'collab.sqlite3'}")
    ),
    "postgres": database(POSTGRES),
}
CHANNEL_LAYERS = {"default": channel_layer(os.environ.get("COLLAB_TEST_REDIS"))}
COLLAB: dict[str, Any] = {
    "DEFAULT_ACCESS": "write",
    **json.loads(os.environ.get("COLLAB_TEST_SETTINGS", "{}")),
}
timings.DEFAULT = timings.RelayTimings(**COLLAB.pop("RELAY", {}))
#: Values of constants by their dotted paths, for :mod:`tests.harness.app`.
CONSTANTS: dict[str, Any] = COLLAB.pop("CONSTANTS", {})
