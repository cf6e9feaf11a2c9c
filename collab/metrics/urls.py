"""The views for those who watch: ``path("collab/", include("collab.metrics.urls"))``."""

from __future__ import annotations

from django.urls import path

from collab.metrics import views

__all__ = ["app_name", "urlpatterns"]

app_name = "collab"
urlpatterns = [
    path("health", views.health, name="health"),
    path("metrics", views.metrics, name="metrics"),
]
