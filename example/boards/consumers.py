"""The consumer of the boards."""

from collab.access import Access
from collab.consumers import YjsConsumer
from collab.exceptions import NoSuchDocument
from pages.consumers import access_to

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
        return access_to(board.share_token, self.scope)
