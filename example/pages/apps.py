"""The app of this project."""

from django.apps import AppConfig


class PagesConfig(AppConfig):
    """Pages of rich text that several users write at once."""

    name = "pages"
