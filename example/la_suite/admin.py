"""Documents and their roles in the admin."""

from django.contrib import admin

from .models import Document, DocumentAccess


class AccessInline(admin.TabularInline):  # type: ignore[type-arg]
    """The roles of users in a document."""

    model = DocumentAccess
    extra = 0


@admin.register(Document)
class DocumentAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Documents with the roles of their users."""

    list_display = ("title", "parent", "link_role", "updated_at")
    inlines = (AccessInline,)
