from __future__ import annotations

import json
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab.engine.storing.spool import (
    claim,
    read_spool,
    set_aside,
    spooled_files,
    write_spool,
)
from collab_storage.base import LogEntry

entries = st.lists(
    st.builds(
        LogEntry,
        name=st.text(min_size=1, max_size=255).filter(lambda name: name.isprintable()),
        data=st.binary(),
        at=st.datetimes(timezones=st.just(UTC)),
        user_id=st.none() | st.text(),
        document_id=st.none() | st.integers() | st.text(),
    )
)

ENTRY = LogEntry("room", b"data", datetime.now(UTC))


def read(path: Path) -> tuple[list[LogEntry], int]:
    with path.open("rb") as file:
        return read_spool(file)


@given(entries)
def test_written_entries_are_read(
    tmp_path_factory: pytest.TempPathFactory, written: list[LogEntry]
) -> None:
    path = write_spool(tmp_path_factory.mktemp("spool"), written)
    assert read(path) == (written, 0)


def test_a_directory_that_is_not_there_holds_no_files_and_is_made(tmp_path: Path) -> None:
    directory = tmp_path / "deep" / "spool"
    assert spooled_files(directory) == []
    paths = [write_spool(directory, [ENTRY]) for _ in range(2)]
    assert spooled_files(directory) == sorted(paths)


def test_spool_files_are_readable_by_their_user_only(tmp_path: Path) -> None:
    path = write_spool(tmp_path, [ENTRY])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_cannot_be_finished_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> object:
        yield ENTRY
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_spool(tmp_path, broken())  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "line",
    ["garbage", "{}", '{"name": "room"', "[]", "5", '"x"', "\x00\x00"]
    + [
        json.dumps({"name": name, "data": data, "at": at, "user_id": None, "document_id": id})
        for name, data, at, id in [
            ("x" * 300, "", "2026-01-01T00:00:00+00:00", 1),
            ("room", "%", "2026-01-01T00:00:00+00:00", 1),
            ("room", "", "yesterday", 1),
            ("room", 5, "2026-01-01T00:00:00+00:00", 1),
            ("room", "", "2026-01-01T00:00:00+00:00", 1.5),
        ]
    ],
)
def test_a_line_that_is_not_valid_hides_no_other(tmp_path: Path, line: str) -> None:
    path = write_spool(tmp_path, [ENTRY])
    good = path.read_text()
    path.write_text(f"{good}{line}\n{good}")
    assert read(path) == ([ENTRY, ENTRY], 1)


def test_a_file_that_is_cut_off_is_read_up_to_there(tmp_path: Path) -> None:
    path = write_spool(tmp_path, [ENTRY, ENTRY])
    path.write_text(path.read_text()[:-20])
    assert read(path) == ([ENTRY], 1)


def test_one_at_a_time_has_a_claim_on_a_file(tmp_path: Path) -> None:
    path = write_spool(tmp_path, [ENTRY])
    first = claim(path)
    assert first is not None
    with first:
        assert claim(path) is None
    second = claim(path)
    assert second is not None
    with second:
        path.unlink()
    assert claim(path) is None


def test_a_file_that_was_stored_between_opening_and_claiming_is_not_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_spool(tmp_path, [ENTRY])
    monkeypatch.setattr(Path, "exists", lambda self: False)
    assert claim(path) is None


def test_a_file_that_is_set_aside_is_kept_and_not_listed_again(tmp_path: Path) -> None:
    path = write_spool(tmp_path, [ENTRY])
    aside = set_aside(path)
    assert spooled_files(tmp_path) == []
    assert read(aside) == ([ENTRY], 0)
