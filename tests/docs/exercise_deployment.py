"""Uses the samples of docs/deployment.md."""

from __future__ import annotations

import pytest
from django.test import Client


@pytest.mark.django_db(transaction=True)
def test_the_process_tells_how_it_is() -> None:
    client = Client()
    assert client.get("/internal/health").json()["status"] == "ok"
    assert b"collab_members 0.0" in client.get("/internal/metrics").content
