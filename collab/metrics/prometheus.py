"""The metrics for Prometheus; needs prometheus-client, ``pip install "django-collab[metrics]"``."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from collab.metrics.samples import read_metrics

__all__ = ["CollabCollector", "exposition"]


class CollabCollector(Collector):
    """Collects the metrics for a registry of the project: ``REGISTRY.register(...)``."""

    def collect(self) -> Iterator[Family]:
        """Return all metrics of this process."""
        for metric in read_metrics():
            family = Family(metric.name, metric.help, metric.kind)
            for suffix, labels, value in metric.samples:
                family.add_sample(metric.name + suffix, dict(labels), value)
            yield family


def exposition(accept: str) -> tuple[bytes, str]:
    """Return the metrics, and memory and processor time, as text, with its content type.

    Args:
        accept: the request's header, with the format that Prometheus prefers.
    """
    registry = CollectorRegistry()
    registry.register(CollabCollector())
    ProcessCollector(registry=registry)
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type
