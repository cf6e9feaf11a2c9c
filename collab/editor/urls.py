"""URLs of the editor: ``path("collab/", include("collab.editor.urls"))``."""

from __future__ import annotations

from django.urls import path

from collab.editor.uploads import UploadView

__all__ = ["app_name", "urlpatterns"]

app_name = "collab_editor"
urlpatterns = [path("upload/", UploadView.as_view(), name="upload")]
