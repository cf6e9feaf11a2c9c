"""The base class answers for a type whose methods ask it."""

from __future__ import annotations

from typing import Any

from collab.documents import DocumentType


class Asking(DocumentType):
    """Asks the base class before it answers by itself."""

    def presence(self, user: Any, key: str) -> Any:
        return super().presence(user, key=key) or {"name": user}

    def load_legacy(self, key: str) -> Any:
        return super().load_legacy(key=key) or key.encode()

    def can_restore(self, user: Any, key: str) -> Any:
        return super().can_restore(user, key=key) and user == "ann"

    def versions_since(self, user: Any, key: str) -> Any:
        return super().versions_since(user, key=key) or "today"


def test_without_an_answer_nothing_is_shown_loaded_or_hidden_and_writers_may_restore() -> None:
    asking = Asking()
    assert asking.presence("ann", "a") == {"name": "ann"}
    assert asking.load_legacy("a") == b"a"
    assert asking.can_restore("ann", "a")
    assert asking.versions_since("ann", "a") == "today"
