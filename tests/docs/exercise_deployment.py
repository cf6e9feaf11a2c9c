"""Uses the samples of docs/deployment.md."""

from __future__ import annotations

import logging


def test_records_are_written_with_what_they_are_about() -> None:
    handler, *_ = logging.getLogger("collab").handlers
    record = logging.makeLogRecord({"name": "collab.hub", "msg": "Here.", "room": "first"})
    assert handler.format(record).endswith("collab.hub Here. room=first user=None")
