"""Meetings in Django's admin, where several users have the same form open."""

from django.contrib import admin

from collab.editor.admin import CollaborativeAdmin

from .models import Meeting


@admin.register(Meeting)
class MeetingAdmin(CollaborativeAdmin):
    """The agenda is live; changes of the other fields are announced and merged."""

    list_display = ("title", "place", "starts_at")
    search_fields = ("title", "agenda")
