"""The collaboration socket."""

from typing import Any
from urllib.parse import parse_qs

from collab.access import Access
from collab.exceptions import Forbidden
from collab.hocuspocus import HocuspocusConsumer


class CollaborationConsumer(HocuspocusConsumer):
    """Serves the provider of the front end, which has the session's cookie and an empty token."""

    async def authenticate(self, name: str, token: str) -> Access | tuple[Access, Any]:
        """Limit a connection to ``?room=`` to that document, as ``y-provider`` does."""
        rooms = parse_qs(self.scope["query_string"].decode()).get("room")
        if rooms is not None and rooms != [name]:
            raise Forbidden("The connection is for another document.")
        return await super().authenticate(name, token)
