"""Stores images of documents: checked by their content, named by the server."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from django.core.files.storage import Storage, default_storage
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.utils.translation import gettext as _
from django.views import View

from collab.access import Access, granted_access
from collab.conf import get_settings
from collab.documents import policy
from collab.editor.uploads.images import HEAD_SIZE, Image, read_image

__all__ = ["UploadView"]


class UploadRefused(Exception):
    """A file is not stored; the message is for its sender."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class UploadView(View):
    """Takes an image for a document from users who may write it.

    A POST with ``name`` of the document and ``file`` is answered with ``{"url", "width",
    "height"}``, or with ``{"error"}``. Django's protection against cross-site requests applies.
    Subclass it, or pass the attributes to ``as_view()``, for other limits or another storage.
    """

    http_method_names = ["post", "options"]  # noqa: RUF012

    #: Largest file, in bytes.
    max_size: int = 5 * 1024 * 1024
    #: Longest side, in pixels: small files may hold images that fill a browser's memory.
    max_side: int = 8192
    #: The folder in the storage.
    folder: str = "collab"
    #: By default Django's default storage.
    storage: Storage | None = None

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Store an image, and return its address."""
        try:
            name = request.POST.get("name", "")
            self._check_access(request, name)
            file = request.FILES.get("file")
            if not isinstance(file, UploadedFile):
                raise UploadRefused(_("No file was sent."), 400)
            image = self._check(file)
            # Some storages serve a file with the type that it came with.
            file.content_type = image.content_type
            return JsonResponse(
                {
                    "url": self.store(file, image, name),
                    "width": image.width,
                    "height": image.height,
                }
            )
        except UploadRefused as refusal:
            return JsonResponse({"error": str(refusal)}, status=refusal.status)

    def store(self, file: UploadedFile[Any], image: Image, name: str) -> str:
        """Store an image of the document ``name``, and return its address."""
        storage = self.storage or default_storage
        path = storage.save(f"{self.folder}/{uuid4().hex}.{image.extension}", file)
        return str(storage.url(path))

    def _check_access(self, request: HttpRequest, name: str) -> None:
        access = policy.access_of(name, request.user) if name else Access.NONE
        if access is None:
            access = Access[get_settings().DEFAULT_ACCESS.upper()]
        granted = granted_access(request.headers.get("X-Collab-Grant", ""), name)
        if max(access, granted) < Access.WRITE:
            raise UploadRefused(_("You may not change this document."), 403)

    def _check(self, file: UploadedFile[Any]) -> Image:
        if (file.size or 0) > self.max_size:
            megabytes = f"{self.max_size / 2**20:g}"
            message = _("The image is larger than %(size)s MB.") % {"size": megabytes}
            raise UploadRefused(message, 413)
        image = read_image(file.read(HEAD_SIZE))
        file.seek(0)
        if image is None:
            raise UploadRefused(_("The file is not a PNG, JPEG, GIF or WebP image."), 415)
        sides = (image.width, image.height)
        if min(sides) == 0 or max(sides) > self.max_side:
            message = _("The image has more than %(side)d pixels on a side.")
            raise UploadRefused(message % {"side": self.max_side}, 413)
        return image
