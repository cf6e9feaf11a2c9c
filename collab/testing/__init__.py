"""Helpers for the tests of projects that use the app."""

from collab.testing.changes import adeliver_changes, deliver_changes
from collab.testing.client import (
    Application,
    CollabClient,
    ConnectionClosed,
    close_rooms,
    connect,
    use_memory_storage,
)
from collab.testing.lossy_layer import LossyChannelLayer

__all__ = [
    "Application",
    "CollabClient",
    "ConnectionClosed",
    "LossyChannelLayer",
    "adeliver_changes",
    "close_rooms",
    "connect",
    "deliver_changes",
    "use_memory_storage",
]
