"""The views of versions: ``path("history/", include("collab.history.urls"))``."""

from __future__ import annotations

from django.urls import path

from collab.history import views

__all__ = ["app_name", "urlpatterns"]

app_name = "collab_history"
urlpatterns = [
    path("<path:name>/versions/", views.VersionsView.as_view(), name="versions"),
    path("<path:name>/versions/<int:id>/", views.VersionView.as_view(), name="version"),
    path("<path:name>/versions/<int:id>/state", views.StateView.as_view(), name="state"),
    path("<path:name>/versions/<int:id>/restore", views.RestoreView.as_view(), name="restore"),
    path("<path:name>/diff", views.DiffView.as_view(), name="diff"),
    path("<path:name>/authors", views.AuthorsView.as_view(), name="authors"),
]
