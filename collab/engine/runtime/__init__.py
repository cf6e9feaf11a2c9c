"""Services of the process that know nothing of documents: counters, timers, shutdown."""

__all__: list[str] = []
