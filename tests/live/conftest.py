"""What all tests of live channels need."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from channels.layers import channel_layers

from collab.testing import close_rooms, use_memory_storage


@pytest.fixture
async def memory() -> AsyncIterator[None]:
    """Keep documents in memory, and close the rooms in the end."""
    with use_memory_storage():
        yield
        await close_rooms()
        for layer in channel_layers.backends.values():
            await layer.flush()
