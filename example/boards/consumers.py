"""The consumer of the boards."""

from urllib.parse import parse_qs

from collab.access import Access
from collab.consumers import YjsConsumer
from collab.exceptions import NoSuchDocument

from .models import ROOM_PREFIX, Board


class BoardConsumer(YjsConsumer):
    """Serves the tasks of the board whose slug is in the URL."""

    @property
    def slug(self) -> str:
        """Return the board's slug."""
        slug: str = self.scope["url_route"]["kwargs"]["board"]
        return slug

    def make_room_name(self) -> str:
        """Return the name of the board's document in ``mirrors.py``."""
        return ROOM_PREFIX + self.slug

    async def authorize(self) -> Access:
        """Grant users write access, and read access with the board's share token."""
        board = await Board.objects.filter(slug=self.slug).afirst()
        if board is None:
            raise NoSuchDocument
        query = parse_qs(self.scope["query_string"].decode())
        if "share" in query:
            return Access.READ if query["share"] == [board.share_token] else Access.NONE
        return Access.WRITE if self.scope["user"].is_authenticated else Access.NONE
