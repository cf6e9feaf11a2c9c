"""Uses the samples of docs/metrics.md."""

from __future__ import annotations

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_views_answer_where_the_page_puts_them() -> None:
    client = Client()
    assert client.get("/ops/health").json()["status"] == "ok"
    assert b"collab_rooms 0.0" in client.get("/ops/metrics").content
