"""The parts of the websockets that :mod:`collab.sockets` serves under uvicorn."""

__all__: list[str] = []
