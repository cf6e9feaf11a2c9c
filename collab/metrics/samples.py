"""Metrics of this process: its counters, and the state of its hubs.

Names and kinds follow Prometheus' conventions, which :mod:`collab.metrics.prometheus` needs;
nothing here needs Prometheus.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from collab.engine.hub.current import live_hubs
from collab.engine.hub.hub import Hub
from collab.engine.runtime.counters import counters

__all__ = ["Metric", "Sample", "read_metrics", "snapshot"]


class Sample(NamedTuple):
    """A number of a metric; its name is that of the metric and the ``suffix``."""

    suffix: str
    labels: Mapping[str, str]
    value: float


class Metric(NamedTuple):
    """A metric with its numbers."""

    name: str
    kind: Literal["counter", "gauge", "summary"]
    help: str
    samples: list[Sample]


_COUNTERS = {
    "joins": "Connections that joined a room.",
    "received_frames": "Frames from members.",
    "received_bytes": "Bytes of frames from members; characters of text frames.",
    "received_updates": "Updates of documents from members, answers to a step 1 included.",
    "gaps": "Updates of members that arrived before updates that they depend on.",
    "sent_updates": "Updates of documents sent to members, counted for each member.",
    "sent_bytes": "Bytes of frames sent to members; characters of text frames.",
    "full_states": "Full states that replaced the waiting updates of a slow member.",
    "evictions": "Members disconnected because they did not read.",
    "throttled_seconds": "Seconds that members waited because they sent or asked for too much.",
    "stored_rows": "Rows added to the logs of documents.",
    "store_failures": "Batches that the storage did not accept; they are tried again.",
    "storage_rereads": "Reads of live documents for updates that other processes stored.",
    "spooled_updates": "Updates written to a spool file because the storage did not accept them.",
    "unspooled_updates": "Updates from spool files that are stored now.",
    "relay_sent_messages": "Messages sent to other processes through the channel layer.",
    "relay_received_messages": "Messages received through the channel layer, own ones included.",
    "relay_foreign_messages": "Messages of the channel layer that were not of this project.",
    "relay_repaired_gaps": "Answers of other processes that brought missing updates.",
}


def read_metrics() -> Iterator[Metric]:
    """Return all metrics of this process. May be called from any thread."""
    yield from _gauges(live_hubs())
    for name, text in _COUNTERS.items():
        yield Metric(
            f"collab_{name}", "counter", text, [Sample("_total", {}, getattr(counters, name))]
        )
    yield _summary("flush", "Turns in which a room applied and sent updates.", "flushes")
    yield _summary("store", "Batches written to the storage.", "store_batches")
    yield Metric(
        "collab_refusals",
        "counter",
        "Connections refused or ended, by close code and by the limit or error that caused it.",
        [
            Sample("_total", {"code": code, "cause": cause}, value)
            for (code, cause), value in list(counters.refusals.items())
        ],
    )
    yield Metric(
        "collab_access_changes",
        "counter",
        "Members whose access changed while they were connected, by the new access.",
        [
            Sample("_total", {"access": access}, value)
            for access, value in list(counters.access_changes.items())
        ],
    )


def _gauges(hubs: list[Hub]) -> Iterator[Metric]:
    rooms = [room for hub in hubs for room in list(hub.rooms.values())]
    members = sum(len(room.members) for room in rooms)
    pending = sum(room.pending_updates for room in rooms)
    unsaved = sum(hub.writer.unsaved_size for hub in hubs)
    lag = max((hub.loop_lag.worst_lag for hub in hubs), default=0.0)
    is_draining = any(hub.is_draining for hub in hubs)
    for name, text, value in (
        ("rooms", "Open documents.", len(rooms)),
        ("members", "Connections in rooms.", members),
        ("pending_updates", "Updates in rooms whose dependencies are missing.", pending),
        ("unsaved_bytes", "Bytes of updates that wait for the storage.", unsaved),
        ("event_loop_lag_seconds", "Longest delay of the event loop in the last minute.", lag),
        (
            "draining",
            "1 while the process disconnects its members before it ends, else 0.",
            is_draining,
        ),
    ):
        yield Metric(f"collab_{name}", "gauge", text, [Sample("", {}, value)])


def _summary(what: str, text: str, times: str) -> Metric:
    samples = [
        Sample("_count", {}, getattr(counters, times)),
        Sample("_sum", {}, getattr(counters, f"{what}_seconds")),
    ]
    return Metric(f"collab_{what}_seconds", "summary", text, samples)


def snapshot() -> dict[str, float]:
    """Return all numbers by their Prometheus names, for tests and shells.

    A name with labels reads ``collab_refusals_total{cause="MAX_ROOMS",code="1013"}``.
    """
    return {
        f"{metric.name}{sample.suffix}{_braces(sample.labels)}": sample.value
        for metric in read_metrics()
        for sample in metric.samples
    }


def _braces(labels: Mapping[str, str]) -> str:
    pairs = ",".join(f'{name}="{value}"' for name, value in sorted(labels.items()))
    return f"{{{pairs}}}" if pairs else ""
