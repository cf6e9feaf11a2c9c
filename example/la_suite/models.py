"""Documents in a tree, with roles that are inherited: a small form of La Suite Docs' models."""

import uuid
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.db import models


class Role(models.TextChoices):
    """The rights of a user, or of all users with the link; each includes those before it."""

    NONE = "", "None"
    READER = "reader", "Reader"
    COMMENTER = "commenter", "Commenter"
    EDITOR = "editor", "Editor"
    OWNER = "owner", "Owner"


def _rank(role: str) -> int:
    return Role.values.index(role)


class Document(models.Model):
    """A document; its content is the collab document that has its id for a name."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    title = models.CharField(max_length=255, blank=True)
    parent = models.ForeignKey(
        "self", on_delete=models.CASCADE, null=True, blank=True, related_name="children"
    )
    link_role = models.CharField(max_length=20, choices=Role.choices, blank=True)
    updated_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ("title",)

    def __str__(self) -> str:
        return self.title

    def line(self) -> Iterator["Document"]:
        """Iterate over the document and those above it."""
        document: Document | None = self
        while document is not None:
            yield document
            document = document.parent

    def subtree(self) -> Iterator["Document"]:
        """Iterate over the document and all below it."""
        level = [self]
        while level:
            yield from level
            level = list(Document.objects.filter(parent__in=level))

    def get_role(self, user: Any) -> str:
        """Return the highest role of a user here or above."""
        line = list(self.line())
        roles = [document.link_role for document in line]
        if user.is_authenticated:
            own = DocumentAccess.objects.filter(document__in=line, user=user)
            roles += own.values_list("role", flat=True)
        return max(roles, key=_rank)

    def get_abilities(self, user: Any) -> dict[str, bool]:
        """Return the abilities of a user."""
        rank = _rank(self.get_role(user))
        return {
            "retrieve": rank >= _rank(Role.READER),
            "comment": rank >= _rank(Role.COMMENTER),
            "update": rank >= _rank(Role.EDITOR),
        }


class DocumentAccess(models.Model):
    """The role of a user in a document and all below it."""

    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="accesses")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    role = models.CharField(max_length=20, choices=Role.choices, default=Role.READER)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("document", "user"), name="one_role_of_a_user"),
        )

    def __str__(self) -> str:
        return f"{self.user}: {self.role}"
