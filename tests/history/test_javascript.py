"""Versions as the client package and Yjs see them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from pytest_django.live_server_helper import LiveServer
from rest_framework.authtoken.models import Token

from collab import documents, history
from collab.testing import use_memory_storage

from .material import changed, content_of, fill

NAME = "archived/a"
SCRIPT = Path(__file__).with_name("versions.mjs")
#: BlockNote as it is published.
STOCK = Path(__file__).parents[1] / "js/blocknote"
#: Where Node.js finds the packages of the client.
CLIENT = Path(__file__).parents[2] / "client-js"

pytestmark = [pytest.mark.client, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def memory() -> Iterator[None]:
    with use_memory_storage():
        yield


def seen_by_node(url: str, token: str, tmp_path: Path) -> dict[str, Any]:
    # Imports of a script are found beside it, and of the package beside the package.
    script = CLIENT / "dist" / f"{tmp_path.name}.mjs"
    script.write_text(SCRIPT.read_text().replace("../../client-js/dist/", "./"))
    try:
        done = subprocess.run(
            ["node", script, url, token], capture_output=True, check=False, timeout=120
        )
    finally:
        script.unlink()
    assert done.returncode == 0, done.stderr.decode()
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_client_package_shows_and_restores_versions(
    live_server: LiveServer, tmp_path: Path
) -> None:
    ann = User.objects.create(username="ann", is_staff=True)
    with documents.edit(NAME, user=ann) as doc:
        fill(doc)
    version = history.create(NAME, "First", user=ann)
    then = content_of(documents.read(NAME))
    with documents.edit(NAME, user=ann) as doc:
        changed(doc)
    history.create(NAME)
    url = f"{live_server.url}/history/{NAME}/versions/"
    seen = seen_by_node(url, str(Token.objects.create(user=ann)), tmp_path)
    assert seen["names"] == [None, "First"]
    assert seen["preview"] == seen["restored"] == seen["present"]
    assert seen["preview"]["map"] == {"a": 1, "deep": {"text": "deep"}}
    assert seen["preview"]["text"][0] == {"insert": "Hello", "attributes": {"bold": True}}
    assert seen["preview"]["xml"] == '<p align="left">paragraph</p>'
    assert content_of(documents.read(NAME)) == then
    assert seen["titles"] == ["Named here", "restore", "First"]
    assert seen["users"] == ["ann"]
    assert "There is no version" in seen["error"]
    assert seen["earlier"] == "First" == version.title
    assert seen["refused"]


def test_the_endpoints_are_those_that_blocknote_takes() -> None:
    options = "--noEmit --strict --exactOptionalPropertyTypes --skipLibCheck --target es2022"
    places = "--module nodenext --lib es2023,dom,dom.iterable --types node"
    types = CLIENT / "node_modules/@types"
    compiler = CLIENT / "node_modules/.bin/tsc"
    done = subprocess.run(
        [compiler, *options.split(), *places.split(), "--typeRoots", types, STOCK / "types.ts"],
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout.decode()
