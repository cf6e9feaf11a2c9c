"""The content of documents: who may do what, and what happens when it has changed."""

from typing import Any, ClassVar

from django.utils import timezone

from collab import documents
from collab.access import Access
from collab.exceptions import NoSuchDocument

from .models import Document


@documents.register("<uuid:pk>")
class SuiteDocument(documents.DocumentType):
    """The content of a document, which BlockNote edits."""

    content: ClassVar = "blocknote"
    history: ClassVar = documents.History(every=600)

    def authorize(self, user: Any, pk: Any) -> Access:
        """Grant the access of ``get_abilities()``, in this process and without an HTTP request."""
        document = Document.objects.filter(pk=pk).first()
        if document is None:
            raise NoSuchDocument
        return access_of(document, user)

    def changed(self, change: Any, pk: Any) -> None:
        """Record when the document has changed."""
        Document.objects.filter(pk=pk).update(updated_at=timezone.now())


def access_of(document: Document, user: Any) -> Access:
    """Return the access that a user's abilities amount to."""
    abilities = document.get_abilities(user)
    if abilities["update"]:
        return Access.WRITE
    if abilities["comment"]:
        return Access.COMMENT
    return Access.READ if abilities["retrieve"] else Access.NONE
