from __future__ import annotations

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab.engine.storing.spool import read_spool, spooled_files, write_spool
from collab_storage.base import LogEntry

entries = st.lists(
    st.builds(
        LogEntry,
        name=st.text(min_size=1, max_size=255).filter(lambda name: name.isprintable()),
        data=st.binary(),
        at=st.datetimes(timezones=st.just(UTC)),
        user_id=st.none() | st.text(),
    )
)


@given(entries)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, written: list[LogEntry]
) -> None:
    path = write_spool(tmp_path_factory.mktemp("spool"), written)
    assert list(read_spool(path)) == written


def test_a_directory_that_is_not_there_holds_no_files_and_is_made(tmp_path: Path) -> None:
    directory = tmp_path / "deep" / "spool"
    assert spooled_files(directory) == []
    entry = LogEntry("room", b"data", datetime.now(UTC))
    paths = [write_spool(directory, [entry]) for _ in range(2)]
    assert spooled_files(directory) == sorted(paths)


def test_nobody_else_may_read_what_people_wrote(tmp_path: Path) -> None:
    path = write_spool(tmp_path, [LogEntry("room", b"data", datetime.now(UTC))])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_was_not_finished_is_not_taken_in(tmp_path: Path) -> None:
    def broken() -> object:
        yield LogEntry("room", b"data", datetime.now(UTC))
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_spool(tmp_path, broken())  # type: ignore[arg-type]
    assert spooled_files(tmp_path) == []


@pytest.mark.parametrize("content", ["garbage\n", "{}\n", '{"name": "room"'])
def test_what_is_no_spool_file_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.collab-spool"
    path.write_text(content)
    with pytest.raises((ValueError, KeyError)):
        list(read_spool(path))
