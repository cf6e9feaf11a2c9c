"""Files for what a process could not store before it had to end; the next start takes them in.

A file holds one JSON object a line. Taking a file in twice does no harm, as an update that a
document has already changes nothing; so two processes that start at once need not agree.
"""

from __future__ import annotations

import json
import os
import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from collab_storage.base import LogEntry

__all__ = ["read_spool", "spooled_files", "write_spool"]

_SUFFIX = ".collab-spool"


def write_spool(directory: Path, entries: Iterable[LogEntry]) -> Path:
    """Write ``entries`` to a new file that survives a crash, and return its path."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{secrets.token_hex(8)}{_SUFFIX}"
    unfinished = path.with_suffix(".unfinished")
    # Documents are nobody else's business.
    with open(os.open(unfinished, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w") as file:
        for entry in entries:
            file.write(json.dumps(_to_json(entry)) + "\n")
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
    return path


def spooled_files(directory: Path) -> list[Path]:
    """Return the finished files in ``directory``, which need not exist."""
    return sorted(directory.glob(f"*{_SUFFIX}"))


def read_spool(path: Path) -> Iterator[LogEntry]:
    """Return the entries in a file.

    Raises:
        ValueError: it is not a file of :func:`write_spool`.
    """
    with path.open() as file:
        for line in file:
            yield _from_json(json.loads(line))


def _to_json(entry: LogEntry) -> dict[str, str | None]:
    return {
        "name": entry.name,
        "data": b64encode(entry.data).decode(),
        "at": entry.at.isoformat(),
        "user_id": entry.user_id,
    }


def _from_json(fields: dict[str, str]) -> LogEntry:
    at = datetime.fromisoformat(fields["at"])
    return LogEntry(fields["name"], b64decode(fields["data"]), at, fields["user_id"])
