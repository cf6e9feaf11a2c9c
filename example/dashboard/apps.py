"""What is going on: readings on a chart, alarms, and any object as it changes."""

from django.apps import AppConfig


class DashboardConfig(AppConfig):
    """What is going on."""

    name = "dashboard"
