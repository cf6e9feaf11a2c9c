"""The view that stores images of documents."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.core.files.storage import FileSystemStorage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.test import Client, RequestFactory
from django.urls import include, path

from collab import documents
from collab.access import Access, grant
from collab.conf import get_settings
from collab.documents import registry
from collab.editor.uploads import UploadView
from tests.editor.samples import PNG, SVG, png

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls(__name__)]

urlpatterns = [path("collab/", include("collab.editor.urls"))]
ADDRESS = "/collab/upload/"


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where images are stored; documents ``album/...`` belong to those who are logged in."""
    monkeypatch.setattr(registry, "_registrations", registry.Registry())
    documents.register("album/<str:of>")(Album)
    settings.MEDIA_ROOT, settings.MEDIA_URL = tmp_path, "/media/"
    return tmp_path


class Album(documents.DocumentType):
    """Its owner is who is named like it; "broken" has a policy that fails."""

    def authorize(self, user: Any, of: str) -> Access:
        if of == "broken":
            raise ZeroDivisionError
        if of == "locked":
            raise PermissionDenied
        return Access.WRITE if user.username == of else Access.READ


def send(client: Client, name: str, content: bytes = PNG, **headers: Any) -> Any:
    file = SimpleUploadedFile("evil.html", content, "text/html")
    return client.post(ADDRESS, {"name": name, "file": file}, **headers)


@pytest.fixture
def ann(client: Client) -> Client:
    client.force_login(User.objects.create(username="ann"))
    return client


def test_an_image_is_stored_under_a_name_of_the_servers(ann: Client, media: Path) -> None:
    response: Any = send(ann, "album/ann", png(3, 2))
    assert response.status_code == 200
    answer = response.json()
    assert (answer["width"], answer["height"]) == (3, 2)
    (stored,) = media.rglob("*.png")
    assert answer["url"] == f"/media/collab/{stored.name}"
    assert "evil" not in stored.name and stored.read_bytes() == png(3, 2)


@pytest.mark.parametrize(
    "name", ["", "album/bob", "album/locked", "unknown", "album/ann/..", "../album/ann"]
)
def test_a_document_that_the_user_may_not_write_takes_none(
    ann: Client, name: str, media: Path, settings: Any
) -> None:
    settings.COLLAB = {**settings.COLLAB, "DEFAULT_ACCESS": "none"}
    assert get_settings().DEFAULT_ACCESS == "none"
    assert send(ann, name).status_code == 403
    assert [*media.iterdir()] == []


def test_a_policy_that_fails_is_no_yes(ann: Client) -> None:
    with pytest.raises(ZeroDivisionError):
        send(ann, "album/broken")


def test_a_document_without_a_type_follows_the_default(ann: Client) -> None:
    assert get_settings().DEFAULT_ACCESS == "write"
    assert send(ann, "unknown").status_code == 200


def test_a_grant_of_the_page_lets_write(client: Client) -> None:
    for access, status in {Access.WRITE: 200, Access.READ: 403}.items():
        token = grant("album/bob", access)
        response = send(client, "album/bob", headers={"X-Collab-Grant": token})
        assert response.status_code == status
    other, forged = grant("album/carol", Access.WRITE), grant("album/bob", Access.WRITE)[:-1] + "x"
    for token in (other, forged, "nonsense"):
        headers = {"X-Collab-Grant": token}
        assert send(client, "album/bob", headers=headers).status_code == 403


@pytest.mark.parametrize("content", [SVG, b"<html>", b"", b"GIF87a"])
def test_other_files_are_refused_by_their_content(ann: Client, content: bytes) -> None:
    response: Any = send(ann, "album/ann", content)
    assert response.status_code == 415
    assert "not a PNG" in response.json()["error"]


@pytest.mark.parametrize(
    "name",
    [
        "../../evil.png",
        "..\\..\\evil.png",
        "/etc/evil.png",
        "evil.html",
        "evil.png\0.html",
        "é" * 90,
    ],
)
def test_a_name_leads_nowhere(ann: Client, media: Path, name: str) -> None:
    # Written by hand: clients send the last part of a path only.
    head = '--x\r\nContent-Disposition: form-data; name="name"\r\n\r\nalbum/ann\r\n--x\r\n'
    head += f'Content-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    body = head.encode() + PNG + b"\r\n--x--\r\n"
    response: Any = ann.post(ADDRESS, body, "multipart/form-data; boundary=x")
    assert response.status_code == 200
    (stored,) = (path for path in media.rglob("*") if path.is_file())
    assert re.fullmatch(r"[0-9a-f]{32}\.png", stored.name) and stored.parent == media / "collab"
    assert not (media.parent / "evil.png").exists()


@pytest.mark.parametrize(
    ("content", "extension"),
    [
        (PNG + b"<script>alert(1)</script>", "png"),
        (b"GIF89a" + struct.pack("<HH", 3, 2) + b"/*<svg onload=alert(1)>*/=1;alert(1)", "gif"),
        (b"\xff\xd8\xff\xc0" + struct.pack(">HBHH", 11, 8, 2, 3) + b"<html><script>", "jpg"),
    ],
)
def test_a_file_of_two_kinds_is_stored_as_an_image(
    ann: Client, media: Path, content: bytes, extension: str
) -> None:
    # It was sent as "evil.html" of the type "text/html"; the name decides how it is served.
    assert send(ann, "album/ann", content).status_code == 200
    assert [path.suffix for path in media.rglob("*.*")] == [f".{extension}"]


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (png(3, 2), "image/png"),
        (b"GIF89a" + struct.pack("<HH", 3, 2) + b"<script>", "image/gif"),
        (b"\xff\xd8\xff\xc0" + struct.pack(">HBHH", 11, 8, 2, 3) + b"<script>", "image/jpeg"),
    ],
)
def test_a_storage_gets_the_type_of_the_image_and_not_the_senders(
    content: bytes, content_type: str, tmp_path: Path
) -> None:
    # Storages of clouds serve a file with this type: as a page, it would run scripts.
    class Cloud(FileSystemStorage):
        def save(self, name: Any, content: Any, max_length: int | None = None) -> str:
            types.append(content.content_type)
            return str(super().save(name, content, max_length))

    types: list[str] = []
    file = SimpleUploadedFile("evil.html", content, "text/html")
    request = RequestFactory().post(ADDRESS, {"name": "album/ann", "file": file})
    request.user = User(pk=1, username="ann")
    assert UploadView.as_view(storage=Cloud(tmp_path / "cloud"))(request).status_code == 200
    assert types == [content_type]


@pytest.mark.parametrize(("width", "height"), [(65_535, 65_535), (2**32 - 1, 1), (1, 8193), (0, 1)])
def test_a_small_file_of_a_huge_image_is_refused(ann: Client, width: int, height: int) -> None:
    header = PNG[:16] + struct.pack(">II", width, height) + PNG[24:]
    assert len(header) < 100
    response: Any = send(ann, "album/ann", header)
    assert response.status_code == 413
    assert "pixels on a side" in response.json()["error"]


def test_no_file_is_an_error(ann: Client) -> None:
    assert ann.post(ADDRESS, {"name": "album/ann"}).status_code == 400
    assert ann.post(ADDRESS, {"name": "album/ann", "file": "text"}).status_code == 400
    assert ann.get(ADDRESS).status_code == 405


@pytest.mark.parametrize("limit", [{"max_size": 10}, {"max_side": 2}])
def test_an_image_that_is_too_large_is_refused(limit: dict[str, int], ann: Client) -> None:
    request = RequestFactory().post(
        ADDRESS, {"name": "album/ann", "file": SimpleUploadedFile("a.png", png(3, 2))}
    )
    request.user = User(pk=1, username="ann")
    assert UploadView.as_view(**limit)(request).status_code == 413


def test_a_project_chooses_the_storage(tmp_path: Path) -> None:
    storage = FileSystemStorage(tmp_path / "own", base_url="https://cdn.example.org/")
    request = RequestFactory().post(
        ADDRESS, {"name": "album/ann", "file": SimpleUploadedFile("a.png", PNG)}
    )
    request.user = User(pk=1, username="ann")
    response: Any = UploadView.as_view(storage=storage, folder="notes")(request)
    assert b"https://cdn.example.org/notes/" in response.content


def test_another_site_cannot_upload_in_the_users_name() -> None:
    request = RequestFactory(enforce_csrf_checks=True).post(ADDRESS, {"name": "album/ann"})
    protected = CsrfViewMiddleware(lambda request: HttpResponse())
    refused = protected.process_view(request, UploadView.as_view(), (), {})
    assert refused is not None and refused.status_code == 403
