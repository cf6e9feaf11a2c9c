"""Boards of tasks: rows of the project's database that several users move at once."""

from django.apps import AppConfig


class BoardsConfig(AppConfig):
    """Boards of tasks."""

    name = "boards"
