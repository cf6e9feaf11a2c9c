"""Figures of this process, for logs, health checks and Prometheus."""

from collab.metrics.samples import Metric, Sample, read_metrics, snapshot

__all__ = ["Metric", "Sample", "read_metrics", "snapshot"]
