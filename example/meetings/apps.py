"""Meetings, whose agenda several users write in Django's admin."""

from django.apps import AppConfig


class MeetingsConfig(AppConfig):
    """Meetings."""

    name = "meetings"
