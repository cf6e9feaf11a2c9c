"""The consumer of the pages' text."""

from typing import Any
from urllib.parse import parse_qs

from collab.access import Access
from collab.consumers import YjsConsumer

from .models import Page


class PageConsumer(YjsConsumer):
    """Serves the text of a page; the room's name is the page's slug."""

    async def authorize(self) -> Access:
        """Grant read access with the page's share token; otherwise ``documents.py`` decides."""
        access = await super().authorize()
        if "share" not in query_of(self.scope):
            return access
        page = await Page.objects.aget(slug=self.make_room_name())
        return access_to(page.share_token, self.scope)


def query_of(scope: dict[str, Any]) -> dict[str, list[str]]:
    """Return the query of a connection's URL."""
    return parse_qs(scope["query_string"].decode())


def access_to(share_token: str, scope: dict[str, Any]) -> Access:
    """Return the access of a connection to something with a share token."""
    query = query_of(scope)
    if "share" in query:
        return Access.READ if query["share"] == [share_token] else Access.NONE
    return Access.WRITE if scope["user"].is_authenticated else Access.NONE
