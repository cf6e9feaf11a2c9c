"""The app of this project."""

from django.apps import AppConfig


class LaSuiteConfig(AppConfig):
    """Documents in a tree, for the front end of La Suite Docs."""

    name = "la_suite"
    verbose_name = "La Suite Docs"
