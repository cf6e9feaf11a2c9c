"""Uses the samples of docs/documents.md."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from mysite.asgi import application  # type: ignore[import-not-found]
from pycrdt import Text

from collab.testing import connect


@pytest.mark.asyncio
@pytest.mark.django_db(transaction=True)
async def test_new_documents_are_seeded_once() -> None:
    user = await User.objects.acreate(username="ann")
    for _ in range(2):
        async with connect(application, "/ws/letters/first", user=user) as client:
            assert str(client.doc.get("text", type=Text)) == "Dear reader,\n"
