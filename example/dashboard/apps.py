"""A dashboard: readings on a chart, alarms, and objects that update themselves."""

from django.apps import AppConfig


class DashboardConfig(AppConfig):
    """The dashboard."""

    name = "dashboard"
