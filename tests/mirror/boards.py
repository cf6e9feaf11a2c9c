"""Views of tests: the documents of boards, and the rows that should be in them."""

from __future__ import annotations

from typing import Any

from pycrdt import Doc, Map

from collab import documents
from collab.mirror.outgoing.writing import reconcile
from collab.mirror.registry import ModelMirror, mirrors
from collab.mirror.rows.values import plain
from tests.rows.mirrors import room_name
from tests.rows.models import Board

__all__ = [
    "assert_equal",
    "in_maps",
    "name_of",
    "notes",
    "open_board",
    "row_values",
    "tasks",
    "updates",
]


def name_of(board: Board) -> str:
    """Return the name of a board's document."""
    return room_name(board.pk)


def open_board(name: str = "b") -> Board:
    """Make a board whose document rows are mirrored to."""
    board = Board.objects.create(name=name)
    reconcile(name_of(board))
    return board


def _map(name: str, map_name: str) -> dict[str, Any]:
    doc = documents.read(name) if documents.exists(name) else Doc[Any]()
    rows: dict[str, Any] = plain(doc.get(map_name, type=Map).to_py())
    return rows


def tasks(board: Board) -> dict[str, Any]:
    """Return the values of the tasks in a board's document, by key."""
    return _map(name_of(board), "tasks")


def notes(board: Board) -> dict[str, Any]:
    """Return the values of the notes in a board's document, by key."""
    return _map(name_of(board), "rows.note")


def in_maps(name: str) -> dict[str, dict[str, Any]]:
    """Return what the maps of a document hold, by their names."""
    return {mirror.map_name: _map(name, mirror.map_name) for mirror in _mirrors(name)}


def _mirrors(name: str) -> list[ModelMirror[Any]]:
    return [mirror for mirror in mirrors() if mirror.rows(name) is not None]


def row_values(name: str) -> dict[str, dict[str, Any]]:
    """Return what the maps of a document should hold, by their names."""
    found: dict[str, dict[str, Any]] = {}
    for mirror in _mirrors(name):
        instances = list(mirror.rows(name) or ())
        values = zip(instances, mirror.values(instances, name), strict=True)
        found[mirror.map_name] = {str(row.pk): value for row, value in values}
    return found


def updates(name: str) -> int:
    """Return how many updates of a document are stored."""
    return next((info.log_length for info in documents.list_documents(name)), 0)


def assert_equal(boards: list[Board]) -> None:
    """Check that the tasks in the documents of boards are as the rows."""
    for board in boards:
        assert in_maps(name_of(board))["tasks"] == row_values(name_of(board))["tasks"]
