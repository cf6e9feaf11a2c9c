"""The texts of pages: who may write them, and what the list of pages shows of them."""

from typing import Any, ClassVar

from django.utils import timezone

from collab import documents
from collab.access import Access
from collab.exceptions import NoSuchDocument

from .models import Page
from .people import person


@documents.register("<slug:slug>")
class PageDocument(documents.DocumentType):
    """The text of a page, which has the page's slug for a name."""

    content: ClassVar = "tiptap"
    #: The tag writes it into pages; those that were opened before a new one may only read.
    version: ClassVar = 1

    #: Versions are kept, and the editor shows them.
    history: ClassVar = documents.History()

    def authorize(self, user: Any, slug: str) -> Access:
        """Permit users to write; the page of a read-only link grants access to its readers."""
        if not Page.objects.filter(slug=slug).exists():
            raise NoSuchDocument
        return Access.WRITE if user.is_authenticated else Access.NONE

    def presence(self, user: Any, slug: str) -> dict[str, str]:
        """Return the name and colour that others see of a user."""
        return dict(person(user))

    def changed(self, change: Any, slug: str) -> None:
        """Keep the text of the page for the list and its search box."""
        page = Page.objects.filter(slug=slug)
        # The names of boards match the pattern, too.
        if page.exists():
            page.update(
                text=change.text(),
                edited_at=timezone.now(),
                edited_by=change.users[-1] if change.users else None,
            )
