"""The app that takes the place of La Suite Docs' Node server: its clients against the example."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from threading import Thread
from typing import Any

import pytest

from tests.harness.waiting import DEADLINE

from .site import Site
from .test_js_clients import ROOT, Action, Control

pytestmark = pytest.mark.client

#: Makes documents, and sessions of users as a login does.
PREPARE = """
import json
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from la_suite.models import Document, DocumentAccess

users = {}
for name in ("alice", "bob"):
    user = User.objects.get(username=name)
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    users[name] = {"id": str(user.pk), "session": session.session_key}

root = Document.objects.create(title="root")
middle = Document.objects.create(title="middle", parent=root)
made = {"root": root, "leaf": Document.objects.create(title="leaf", parent=middle)}
for title in ("other", "polled"):
    made[title] = Document.objects.create(title=title, parent=root)
made["shared"] = Document.objects.create(title="shared", link_role="reader")
for name, role in (("alice", "owner"), ("bob", "editor")):
    DocumentAccess.objects.create(document=root, user_id=users[name]["id"], role=role)
print(json.dumps({
    "key": settings.Y_PROVIDER_API_KEY,
    "users": users,
    "documents": {title: str(document.pk) for title, document in made.items()},
}))
"""


@pytest.fixture
def suite(site: Site) -> dict[str, Any]:
    """The users and documents of the site."""
    found: dict[str, Any] = json.loads(site.run(PREPARE))
    return {**found, "http": f"http://localhost:{site.port}"}


@pytest.fixture
def control(site: Site, suite: dict[str, Any]) -> Iterator[Control]:
    """Lets the script change Bob's rights, as the admin does."""
    connection = sqlite3.connect(
        site.database, isolation_level=None, check_same_thread=False, timeout=DEADLINE
    )
    with closing(connection) as database:
        bob = suite["users"]["bob"]["id"]
        change = "UPDATE la_suite_documentaccess SET role = ? WHERE user_id = ?"
        roles = {"make-bob-a-reader": "reader", "remove-bob": "", "make-bob-an-editor": "editor"}
        actions: dict[str, Action] = {
            name: partial(database.execute, change, (role, bob)) for name, role in roles.items()
        }
        with Control(actions) as control:
            thread = Thread(target=control.serve_forever)
            thread.start()
            yield control
            control.shutdown()
            thread.join()


def test_the_clients_of_la_suite_docs(suite: dict[str, Any], control: Control) -> None:
    result = subprocess.run(
        ["node", "--test", "--test-reporter=spec", "tests/js/la-suite.js"],
        cwd=ROOT,
        env={
            **os.environ,
            "COLLAB_TEST_CONTROL": control.url,
            "LA_SUITE": json.dumps(suite),
        },
        capture_output=True,
        text=True,
        timeout=10 * DEADLINE,
    )
    assert result.returncode == 0, result.stdout + result.stderr
