"""Files with updates that a process could not store before its end; the next start stores them.

A file holds one JSON object a line. It is claimed by a lock, which ends with the process that has
it, so each file is stored by one process. Storing a file twice, after a crash in between, does no
harm: an update that a document has already changes nothing.
"""

from __future__ import annotations

import json
import os
import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from collab_storage.base import LogEntry, check_name
from collab_storage.exceptions import InvalidName

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows, where no second process serves
    fcntl = None  # type: ignore[assignment]

__all__ = ["claim", "read_spool", "remove", "set_aside", "spooled_files", "write_spool"]

_SUFFIX = ".collab-spool"
#: Suffix of a file that is not stored, to be looked at by a person.
_BAD_SUFFIX = ".not-stored"


def write_spool(directory: Path, entries: Iterable[LogEntry]) -> Path:
    """Write ``entries`` to a new file that survives a crash, and return its path.

    Raises:
        OSError: nothing is written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{secrets.token_hex(8)}{_SUFFIX}"
    unfinished = path.with_suffix(".unfinished")
    try:
        # Readable by this user only: it has the content of documents.
        with open(os.open(unfinished, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w") as file:
            for entry in entries:
                file.write(json.dumps(_to_json(entry)) + "\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    return path


def spooled_files(directory: Path) -> list[Path]:
    """Return the finished files in ``directory``, which need not exist.

    Raises:
        OSError: it cannot be read.
    """
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    return sorted(directory / name for name in names if name.endswith(_SUFFIX))


def claim(path: Path) -> BinaryIO | None:
    """Open a file that no other process stores until it is closed; ``None`` if one does, or did.

    Raises:
        OSError: it cannot be opened.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return None
    try:
        if fcntl is not None:  # pragma: no branch
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_ours = path.exists()
    except BlockingIOError:
        is_ours = False
    if not is_ours:
        file.close()
        return None
    return file


def read_spool(file: BinaryIO) -> tuple[list[LogEntry], int]:
    """Return the entries of a file, and the number of lines that are not valid."""
    entries: list[LogEntry] = []
    invalid = 0
    for line in file:
        try:
            entries.append(_from_json(json.loads(line)))
        except (ValueError, LookupError, TypeError, AttributeError, InvalidName):
            invalid += 1
    return entries, invalid


def set_aside(path: Path) -> Path:
    """Rename a file that cannot be stored, so that it is not read again; return its new path."""
    return path.rename(path.with_name(path.name + _BAD_SUFFIX))


def remove(path: Path) -> None:
    """Remove a file that is stored."""
    path.unlink()


def _to_json(entry: LogEntry) -> dict[str, str | int | None]:
    return {
        "name": entry.name,
        "data": b64encode(entry.data).decode(),
        "at": entry.at.isoformat(),
        "user_id": entry.user_id,
        "document_id": entry.document_id,
    }


def _from_json(fields: dict[str, Any]) -> LogEntry:
    at = datetime.fromisoformat(fields["at"])
    name = check_name(fields["name"])
    data, id = b64decode(fields["data"], validate=True), fields.get("document_id")
    if not isinstance(id, int | str | None):
        raise TypeError(type(id))
    return LogEntry(name, data, at, fields["user_id"], id)
