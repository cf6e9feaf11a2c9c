"""Serves stock ``@hocuspocus/provider`` clients: many documents on one websocket.

Documents are the same rooms as those of :class:`collab.consumers.YjsConsumer`, so clients of both
protocols edit a document together.
"""

from collab.hocuspocus.consumers import HocuspocusConsumer
from collab.hocuspocus.member import HocuspocusMember

__all__ = ["HocuspocusConsumer", "HocuspocusMember"]
