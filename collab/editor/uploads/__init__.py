"""Images of documents, and the view that stores them."""

from collab.editor.uploads.images import Image
from collab.editor.uploads.views import UploadView

__all__ = ["Image", "UploadView"]
