"""Boards of tasks: rows of the project's database that several people move about at once."""

from django.apps import AppConfig


class BoardsConfig(AppConfig):
    """Boards of tasks."""

    name = "boards"
