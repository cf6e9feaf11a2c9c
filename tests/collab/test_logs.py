"""Log records say which room and which user they are about, and never what is in a document."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import collab
import collab_storage
from tests.harness.sources import parsed

LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
#: What a record may carry besides its text.
EXTRA = {"room", "rooms", "user", "address"}
#: A connection's own ``extra``, in and out of its class.
LOG_CONTEXT = {
    "connection_of(self).log_context",
    "self._log_context",
    "self.log_context",
    "self._target.log_context",
}
#: Names of what holds content; a record may tell how much of it there is.
CONTENT = {"content", "data", "doc", "frame", "message", "payload", "state", "text", "update"}
#: What concerns no room in particular, or code that does not know in which it runs.
NO_ROOM = {
    "%s refuses all users: nothing decides who may connect. Override authorize(), give a "
    "LiveConsumer permission_classes, or register a document type for the name; "
    'COLLAB["DEFAULT_ACCESS"] = "write" opens these documents to all users.',
    "A document could not be read.",
    "An observer of the document failed.",
    "%d updates of an earlier process are stored now.",
    "A spool file cannot be stored: %s.",
    '"collab" is not in INSTALLED_APPS: add it. Without it no system check runs, and no'
    " documents.py is read.",
    "A spool file cannot be renamed: %s.",
    "Spooled updates wait: the storage fails (%s).",
    "Spooled updates wait: %s cannot be read (%s).",
    "The file is kept as %s.",
    "The channel layer fails (%s).",
    "Channel layer backlog full; a message is dropped.",
    "The storage cannot be polled (%s).",
    "A message of the channel layer ended receiving.",
    # A socket is below consumers and their rooms.
    "A client reads too slowly and is disconnected.",
    # Rows and events are told to all processes, whatever documents their connections have.
    "Observer %s failed; the change of %s %s is dropped.",
    "Subprocess could not be started with %s; a large document is read in this process, "
    "which blocks meanwhile.",
    "Channel layer message is not valid; events dropped.",
    "Observer %s failed; the signal is dropped.",
    "Delivery of an event of group %r failed.",
    # The method is the same for all documents of its type.
    "%s() has not returned within %g s and counts as failed; other documents go on.",
    "Changed documents cannot be looked up (%s); next attempts every %g s.",
    "Changes of %s could not be published.",
    "Rows could not be written into documents: %s",
    "Groups of a row of %s are not known.",
    "Query of %s failed; its subscribers miss a change.",
    "After-commit work failed.",
}


def sources() -> Iterator[Path]:
    for package in (collab, collab_storage):
        yield from Path(package.__path__[0]).rglob("*.py")


def log_calls(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(parsed(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            target = node.func.value
            if isinstance(target, ast.Name) and target.id == "logger" and node.func.attr in LEVELS:
                yield node


def calls() -> Iterator[object]:
    for path in sources():
        for call in log_calls(path):
            yield pytest.param(call, id=f"{path.name}:{call.lineno}")


def extra(call: ast.Call) -> ast.expr | None:
    return next((word.value for word in call.keywords if word.arg == "extra"), None)


@pytest.mark.parametrize("call", list(calls()))
def test_record_says_which_room_it_is_about(call: ast.Call) -> None:
    given = extra(call)
    if given is None:
        assert isinstance(call.args[0], ast.Constant)
        assert call.args[0].value in NO_ROOM
    elif isinstance(given, ast.Dict):
        keys = {ast.literal_eval(key) for key in given.keys if isinstance(key, ast.Constant)}
        assert keys <= EXTRA
    else:
        assert ast.unparse(given) in LOG_CONTEXT


@pytest.mark.parametrize("call", list(calls()))
def test_record_contains_nothing_of_the_content_of_a_document(call: ast.Call) -> None:
    assert not isinstance(call.args[0], ast.JoinedStr | ast.BinOp)
    told = [argument for argument in call.args[1:] if not is_size(argument)]
    for argument in told:
        names = {node.id for node in ast.walk(argument) if isinstance(node, ast.Name)}
        names |= {node.attr for node in ast.walk(argument) if isinstance(node, ast.Attribute)}
        assert not names & CONTENT


def is_size(argument: ast.expr) -> bool:
    return (
        isinstance(argument, ast.Call)
        and isinstance(argument.func, ast.Name)
        and argument.func.id == "len"
    )


def test_there_are_records() -> None:
    assert len(list(calls())) > 10
