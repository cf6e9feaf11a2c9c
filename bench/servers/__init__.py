"""The servers that are compared, each in processes of its own on the loopback device."""

from __future__ import annotations

from tests.harness.server import ROOT

from .base import (
    PEERS,
    Contestant,
    Program,
    Running,
    free_port,
    make_venv,
    running_process,
)
from .hub import BareHub
from .node import Hocuspocus, NodePeer, node_version
from .ours import (
    UNLIMITED,
    Collab,
    CollabAddressed,
    CollabElsewhere,
    collab_server,
    migrated_file,
)
from .pycrdt import PycrdtWebsocket

__all__ = [
    "CONTESTANTS",
    "PEERS",
    "REFERENCE",
    "UNLIMITED",
    "Contestant",
    "Program",
    "Running",
    "collab_server",
    "free_port",
    "make_venv",
    "migrated_file",
    "node_version",
    "running_process",
]

#: What the others are compared with.
REFERENCE = "y-websocket-server"

_OURS = (
    Collab("collab"),
    Collab("collab-pure", root=ROOT),
    Collab("collab-memory", route="unstored"),
    CollabAddressed("collab-addressed"),
    Collab("collab-postgres", database="postgres"),
    Collab("collab-uvicorn-stock", websockets="websockets-sansio"),
    CollabElsewhere("collab-daphne", "daphne", "-v 0 -b 127.0.0.1 -p {port}"),
    CollabElsewhere("collab-hypercorn", "hypercorn", "-k uvloop -b 127.0.0.1:{port}"),
    CollabElsewhere(
        "collab-granian",
        "granian",
        # By default it has no more connections at a time than the backlog.
        "--interface asginl --loop uvloop --host 127.0.0.1 --port {port} --backpressure 100000"
        " --no-access-log",
    ),
)

_Y_WEBSOCKET = ("y-websocket-server", "@y/websocket-server")
_HOCUSPOCUS = ("hocuspocus", "@hocuspocus/server", "server.js")

_OTHERS = (
    NodePeer(REFERENCE, *_Y_WEBSOCKET, "node_modules/@y/websocket-server/src/server.js"),
    NodePeer("y-websocket-leveldb", *_Y_WEBSOCKET, "leveldb.js", store="YPERSISTENCE"),
    Hocuspocus("hocuspocus", *_HOCUSPOCUS, store="DATABASE"),
    Hocuspocus("hocuspocus-memory", *_HOCUSPOCUS),
    PycrdtWebsocket("pycrdt-websocket", "server", keeps_documents=True),
    PycrdtWebsocket("pycrdt-consumer", "consumer", keeps_documents=False),
)

CONTESTANTS: dict[str, Contestant] = {
    contestant.name: contestant for contestant in (*_OURS, *_OTHERS, BareHub())
}
