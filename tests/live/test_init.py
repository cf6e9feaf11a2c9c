"""The names that ``collab.live`` offers."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from collab import live


@pytest.mark.parametrize("name", live.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(live, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such"):
        live.no_such  # noqa: B018


@pytest.mark.parametrize(
    ("missing", "error"), [("msgspec", ImproperlyConfigured), ("os", ModuleNotFoundError)]
)
def test_a_missing_package_is_named_with_the_remedy(
    missing: str, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def import_module(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)

    monkeypatch.setattr(live, "import_module", import_module)
    with pytest.raises(error, match=missing):
        live.__getattr__("action")
