from __future__ import annotations

import pytest

from collab.conf import Settings
from collab.engine.connections.throttle import Throttle


def test_the_longest_of_the_waits_is_made() -> None:
    settings = Settings(
        MESSAGE_RATE=10, MESSAGE_BURST=1, BYTE_RATE=100, BYTE_BURST=100, MAX_DOCUMENT_SIZE=100
    )
    throttle = Throttle(settings)
    assert throttle.take(100, now=1000) == pytest.approx(0)
    assert throttle.take(1, now=1000) == pytest.approx(0.1)
    assert throttle.take(99, now=1000) == pytest.approx(1)
    assert throttle.take(0, now=1000, answered=600) == pytest.approx(4)
    assert throttle.waited == pytest.approx(5.1)
