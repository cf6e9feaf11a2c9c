"""Uses the samples of docs/from-hocuspocus.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.core.signing import TimestampSigner
from notes.collaboration import Collaboration  # type: ignore[import-not-found]
from pycrdt import Doc, Text

from collab import documents
from collab.testing import close_rooms
from tests.hocuspocus.client import STATELESS, Client, encoded

pytestmark = [pytest.mark.asyncio, pytest.mark.django_db(transaction=True)]


async def test_the_token_names_the_user_and_messages_reach_the_others() -> None:
    user = await User.objects.acreate(username="ann")
    token = TimestampSigner(salt="collab").sign(str(user.pk))
    try:
        async with Client(Collaboration.as_asgi()) as ann, Client(Collaboration.as_asgi()) as bob:
            mine, theirs = ann.document("legacy/one"), bob.document("legacy/one")
            mine.attach(token)
            theirs.attach(token)
            await ann.until(lambda: mine.statuses == [1])
            await bob.until(lambda: theirs.statuses == [1])
            mine.send(encoded(STATELESS, "comments changed"))
            await bob.until(lambda: theirs.stateless == ["comments changed"])
            assert mine.stateless == []
            refused = ann.document("legacy/two")
            refused.attach("wrong")
            await ann.until(lambda: refused.refusals == ["The token is not valid."])
    finally:
        await close_rooms()


async def test_a_document_is_loaded_when_it_is_opened_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def edit() -> str:
        old: Doc[Any] = Doc()
        old.get("text", type=Text).insert(0, "old")
        Path("states").mkdir()
        Path("states/third.yjs").write_bytes(old.get_update())
        with documents.edit("legacy/third") as doc:
            return str(doc.get("text", type=Text))

    assert await sync_to_async(edit)() == "old"
