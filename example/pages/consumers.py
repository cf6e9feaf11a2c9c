"""Who may read and write which page over the websocket."""

from typing import Any
from urllib.parse import parse_qs

from collab.access import Access
from collab.consumers import YjsConsumer
from collab.exceptions import NoSuchDocument

from .models import Page


class PageConsumer(YjsConsumer):
    """Serves the text of a page; the room's name is the page's slug."""

    async def authorize(self) -> Access:
        """Let users write, and whoever brings the page's share token read."""
        page = await Page.objects.filter(slug=self.make_room_name()).afirst()
        if page is None:
            raise NoSuchDocument
        return access_to(page.share_token, self.scope)


def access_to(share_token: str, scope: dict[str, Any]) -> Access:
    """Return what whoever connects may do with what has that share token."""
    query: dict[str, Any] = parse_qs(scope["query_string"].decode())
    if "share" in query:
        return Access.READ if query["share"] == [share_token] else Access.NONE
    return Access.WRITE if scope["user"].is_authenticated else Access.NONE
