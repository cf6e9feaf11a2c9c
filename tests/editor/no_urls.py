"""Addresses of a project without an admin."""

from __future__ import annotations

from typing import Any

urlpatterns: list[Any] = []
