"""Documents of a bucket of S3, on a server that has one."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import boto3
import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer
from pycrdt import Doc, Text

from collab import documents, history
from collab.testing import use_memory_storage

#: When the first version of each object was written.
START = datetime(2026, 1, 1, tzinfo=UTC)

Bucket = Any


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    """A server of objects, and its address."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


numbers = count()


@pytest.fixture
def bucket(s3_server: str) -> Iterator[Bucket]:
    """A bucket with versions, which is the storage "bucket"."""
    options = {
        "bucket_name": f"bucket-{next(numbers)}",
        "endpoint_url": s3_server,
        "access_key": "key",
        "secret_key": "secret",
        "region_name": "us-east-1",
        "location": "media",
    }
    resource = boto3.resource(
        "s3",
        endpoint_url=s3_server,
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        region_name="us-east-1",
    )
    bucket = resource.create_bucket(Bucket=options["bucket_name"])
    bucket.Versioning().enable()
    backend = {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}
    with override_settings(STORAGES={"bucket": backend}):
        yield bucket


@pytest.fixture(params=["memory", "orm"])
def storage(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each storage that differs in what a transaction is."""
    if request.param == "orm":
        request.getfixturevalue("transactional_db")
        yield
    else:
        with use_memory_storage():
            yield


class Source:
    """A document of another server, which writes each state as base64 to one object."""

    def __init__(self, bucket: Bucket, name: str) -> None:
        self.key = f"media/{name}/file"
        self._bucket = bucket
        self._doc: Doc[Any] = Doc()

    def write(self, text: str) -> None:
        content = self._doc.get("text", type=Text)
        content.insert(len(str(content)), text)
        self._bucket.put_object(Key=self.key, Body=b64encode(self._doc.get_update()))
        # The server knows no times below a second.
        versions = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[self._bucket.name].keys
        for number, version in enumerate(versions.getlist(self.key)):
            version.last_modified = START.replace(tzinfo=None) + timedelta(minutes=number)


def text_of(doc: Doc[Any]) -> str:
    return str(doc.get("text", type=Text))


def run(**options: Any) -> str:
    stdout = io.StringIO()
    options = {"storage": "bucket", "suffix": "/file", **options}
    call_command("collab_import_objects", stdout=stdout, stderr=io.StringIO(), **options)
    return stdout.getvalue()


def versions(name: str) -> list[tuple[str, timedelta]]:
    """Return the texts and times of a document's versions, the oldest first."""
    found = reversed(history.versions(name))
    return [(text_of(history.read(name, each.id)), each.at - START) for each in found]


@pytest.mark.usefixtures("storage")
def test_the_versions_of_objects_become_versions_of_documents(bucket: Bucket) -> None:
    one, two = Source(bucket, "one"), Source(bucket, "two")
    for text in ("a", "b", "c"):
        one.write(text)
    two.write("x")
    bucket.put_object(Key="media/readme", Body=b"No document.")
    for folder in ("elsewhere", "media2"):
        bucket.put_object(Key=f"{folder}/three/file", Body=b"Not of this storage.")
    assert run(prefix="old/") == "2 documents are imported; 0 existed already.\n"
    assert text_of(documents.read("old/one")) == "abc"
    minutes = [timedelta(minutes=number) for number in range(3)]
    assert versions("old/one") == list(zip(("a", "ab", "abc"), minutes, strict=True))
    assert versions("old/two") == [("x", minutes[0])]
    assert not documents.exists("old/three")


@pytest.mark.usefixtures("storage")
def test_no_version_is_added_before_the_newest() -> None:
    with documents.edit("one") as doc:
        doc.get("text", type=Text).insert(0, "a")
    history.create("one", "Today")
    state = documents.read("one").get_update()
    with pytest.raises(ValueError, match="has a later version"):
        history.import_version("one", state, START)
    history.import_version("one", state, datetime.now(UTC), title="Once more")
    assert [version.title for version in history.versions("one")] == ["Once more", "Today"]


@pytest.mark.usefixtures("storage")
def test_a_second_run_adds_what_is_lacking_only(bucket: Bucket) -> None:
    one = Source(bucket, "one")
    one.write("a")
    run()
    one.write("b")
    with documents.edit("one") as doc:
        doc.get("text", type=Text).insert(0, "changed here ")
    assert run() == "0 documents are imported; 1 existed already.\n"
    assert text_of(documents.read("one")) == "changed here a"
    assert [text for text, _ in versions("one")] == ["a", "ab"]


@pytest.mark.usefixtures("storage")
def test_deleted_objects_are_not_imported_and_deletions_are_no_versions(bucket: Bucket) -> None:
    gone, back = Source(bucket, "gone"), Source(bucket, "back")
    for source in (gone, back):
        source.write("a")
        bucket.Object(source.key).delete()
    back.write("b")
    run()
    assert not documents.exists("gone")
    assert [text for text, _ in versions("back")] == ["a", "ab"]


def test_a_document_that_cannot_be_read_does_not_keep_the_others_out(
    bucket: Bucket, transactional_db: None
) -> None:
    broken, fine = Source(bucket, "broken"), Source(bucket, "fine")
    bucket.put_object(Key=broken.key, Body=b"\xff\xff")
    broken.write("a")
    fine.write("b")
    with pytest.raises(CommandError, match="1 documents could not be imported"):
        run()
    # Neither of it, nor of its versions.
    assert not documents.exists("broken")
    assert text_of(documents.read("fine")) == "b"


@pytest.mark.usefixtures("storage")
def test_a_version_that_differs_from_its_source_is_reported(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    Source(bucket, "one").write("a")
    monkeypatch.setattr(history, "read", lambda name, id: Doc())
    with pytest.raises(CommandError, match="1 documents"):
        run()


def test_files_have_no_versions() -> None:
    backend = {"BACKEND": "django.core.files.storage.FileSystemStorage"}
    with (
        override_settings(STORAGES={"bucket": backend}),
        pytest.raises(CommandError, match="not a bucket of S3"),
    ):
        run()


@pytest.mark.usefixtures("storage")
def test_the_import_of_hocuspocus_reads_buckets(bucket: Bucket) -> None:
    for name in ("one", "folder/two"):
        Source(bucket, name).write(name)
    call_command("collab_import_hocuspocus", storage="bucket", suffix="/file", stdout=io.StringIO())
    assert text_of(documents.read("one")) == "one"
    assert text_of(documents.read("folder/two")) == "folder/two"


def test_a_storage_that_there_is_not_is_reported() -> None:
    with pytest.raises(CommandError, match=r"config for 'bucket' in settings\.STORAGES"):
        run()
