"""Content of documents by name: in views, tasks, templates, commands and the admin."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.template import Context, Template
from django.test import Client, override_settings
from pycrdt import Doc, XmlElement, XmlFragment

from collab import content, documents
from collab.access import Access
from collab.conf import get_storage
from collab.documents import registry
from collab.documents.changes.change import Change
from collab.exceptions import Conflict, ContentError, DocumentNotFound, InvalidContent, TextNotFound
from collab.testing import use_memory_storage
from collab_storage.models import Document
from collab_storage.subprocesses import run_in_process

OURS = content.TIPTAP.extend(name="ours", field="body")


class Open(documents.DocumentType):
    def authorize(self, user: Any, *args: Any, **parameters: Any) -> Access:
        return Access.WRITE


@pytest.fixture(autouse=True)
def registrations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register types whose content is read in different ways."""
    monkeypatch.setattr(registry, "_registrations", registry.Registry())
    for pattern, schema, field in (
        ("notes/<int:pk>", "tiptap", None),
        ("pages/<str:name>", content.BLOCKNOTE, None),
        ("ours/<str:name>", OURS, None),
        ("fields/<str:name>", "tiptap", "own"),
        ("drawings/<str:name>", None, None),
        ("wrong/<str:name>", "tiptop", None),
    ):
        attributes = {"content": schema, "content_field": field}
        documents.register(pattern)(type(pattern, (Open,), attributes))


@pytest.fixture
def storage() -> Iterator[None]:
    with use_memory_storage():
        yield


pytestmark = pytest.mark.usefixtures("storage")


def test_content_goes_in_and_out_in_every_format() -> None:
    documents.replace("notes/5", markdown="# A\n\nb **c**")
    assert documents.html("notes/5") == "<h1>A</h1><p>b <strong>c</strong></p>"
    assert documents.markdown("notes/5") == "# A\n\nb **c**\n"
    assert documents.text("notes/5") == "A\n\nb c"
    assert documents.json("notes/5")["content"][0]["attrs"]["level"] == 1
    documents.replace("notes/5", html="<p>d</p>")
    documents.replace("notes/5", text="e")
    documents.replace("notes/5", json=documents.json("notes/5"))
    assert documents.text("notes/5") == "e"


@pytest.mark.parametrize(
    "nothing", [{"html": ""}, {"markdown": ""}, {"text": ""}, {"json": {"type": "doc"}}], ids=str
)
def test_nothing_makes_an_empty_document_and_empties_one(nothing: dict[str, Any]) -> None:
    assert not documents.replace("notes/5", **nothing)
    assert documents.exists("notes/5")
    assert documents.html("notes/5") == documents.text("notes/5") == ""
    documents.replace("notes/5", text="x")
    documents.replace("notes/5", **nothing)
    assert documents.html("notes/5") == "<p></p>"
    assert documents.text("notes/5") == ""


async def test_content_goes_in_and_out_of_async_code() -> None:
    report = await documents.areplace("notes/5", html="<p>a</p><script>x</script>")
    assert report.dropped == {"<script>": 1}
    await documents.aedit_text("notes/5", "a", "b")
    assert await documents.ahtml("notes/5") == "<p>b</p>"
    assert await documents.amarkdown("notes/5") == "b\n"
    assert await documents.atext("notes/5") == "b"
    assert (await documents.ajson("notes/5"))["type"] == "doc"


def test_the_type_says_how_content_is_read() -> None:
    documents.replace("pages/a", text="x")
    assert documents.json("pages/a")[0]["type"] == "paragraph"
    documents.replace("ours/a", text="x")
    assert content.to_text(documents.read("ours/a"), "body") == "x"
    documents.replace("fields/a", text="x")
    assert content.to_text(documents.read("fields/a"), "own") == "x"
    assert documents.text("fields/a") == "x"


def test_a_schema_that_is_given_wins() -> None:
    documents.replace("notes/5", text="x", schema="plain", field="draft")
    assert documents.json("notes/5", schema=content.PLAIN, field="draft") == "x"
    documents.replace("elsewhere", text="x", schema="collab.content.TIPTAP")
    assert documents.html("elsewhere", schema="tiptap") == "<p>x</p>"


@pytest.mark.parametrize("name", ["elsewhere", "drawings/a"])
def test_content_that_nothing_can_read_is_refused_with_the_way_out(name: str) -> None:
    for call in (documents.html, lambda name: documents.replace(name, text="x")):
        with pytest.raises(ImproperlyConfigured, match='set content = "tiptap"'):
            call(name)


def test_a_schema_that_does_not_exist_is_named_with_those_that_do() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"no content schema 'tiptop'\. Ready"):
        documents.replace("wrong/a", text="x")
    with pytest.raises(ImproperlyConfigured, match="is not a content schema"):
        documents.replace("wrong/a", text="x", schema="collab.content.to_html")


def test_content_is_given_in_one_format() -> None:
    given: list[dict[str, Any]] = [{}, {"html": "x", "text": "y"}]
    for options in given:
        with pytest.raises(TypeError, match="one of html, markdown, text and json"):
            documents.replace("notes/5", **options)


def test_a_document_that_does_not_exist_has_no_content() -> None:
    for call in (
        documents.html,
        documents.content,
        lambda name: documents.edit_text(name, "a", "b"),
    ):
        with pytest.raises(DocumentNotFound):
            call("notes/5")
    with pytest.raises(InvalidContent):
        documents.replace("notes/5", json={"type": "paragraph"})
    assert not documents.exists("notes/5")


def test_content_that_is_the_same_is_not_stored() -> None:
    documents.replace("notes/5", text="x")
    before = async_to_sync(get_storage().load)("notes/5")
    documents.replace("notes/5", text="x")
    assert async_to_sync(get_storage().load)("notes/5") == before


# Writers say what they had read (I17).


def test_a_writer_does_not_take_back_what_others_changed_since_it_read() -> None:
    documents.replace("notes/5", markdown="one\n\ntwo")
    read = documents.content("notes/5")
    documents.edit_text("notes/5", "two", "two, changed meanwhile")
    documents.replace("notes/5", markdown=read.markdown.replace("one", "ONE"), base=read.token)
    assert documents.text("notes/5") == "ONE\n\ntwo, changed meanwhile"


def test_a_writer_without_a_token_takes_back_what_others_changed() -> None:
    documents.replace("notes/5", markdown="one\n\ntwo")
    read = documents.content("notes/5")
    assert (read.name, read.html, read.text) == ("notes/5", "<p>one</p><p>two</p>", "one\n\ntwo")
    documents.edit_text("notes/5", "two", "2")
    documents.replace("notes/5", json=read.json)
    assert documents.text("notes/5") == "one\n\ntwo"


def test_a_writer_can_ask_for_an_error_instead() -> None:
    documents.replace("notes/5", text="one")
    token = documents.content("notes/5").token
    documents.replace("notes/5", text="two", base=token, on_conflict="raise")
    with pytest.raises(Conflict, match="changed by others since") as caught:
        documents.replace("notes/5", text="three", base=token, on_conflict="raise")
    assert "three" in str(caught.value.wanted)
    assert "two" in str(caught.value.current)
    assert documents.text("notes/5") == "two"


def test_changes_elsewhere_in_the_document_are_no_conflict() -> None:
    documents.replace("notes/5", text="one")
    token = documents.content("notes/5").token
    documents.replace("notes/5", text="x", schema="plain", field="comments")
    documents.replace("notes/5", text="two", base=token, on_conflict="raise")
    assert documents.text("notes/5") == "two"


def test_a_document_that_was_deleted_and_made_anew_is_a_conflict() -> None:
    documents.replace("notes/5", text="one")
    token = documents.content("notes/5").token
    documents.delete("notes/5")
    documents.replace("notes/5", text="another")
    with pytest.raises(Conflict, match="no longer the one that was read"):
        documents.replace("notes/5", text="two", base=token)


@pytest.mark.parametrize("token", ["x", "eJwr", "!!", "eJyrqKgAAAL5AXw="])
def test_a_token_that_no_document_gave_is_refused(token: str) -> None:
    with pytest.raises(ContentError, match="The token is not one"):
        documents.replace("notes/5", text="x", base=token)


def test_an_exact_edit_says_what_is_there_instead() -> None:
    documents.replace("notes/5", text="hello world")
    with pytest.raises(TextNotFound, match="most like it is 'hello world'"):
        documents.edit_text("notes/5", "hello word!", "x")


# Large documents.


LARGE = "\n\n".join(f"{number} {'many words ' * 5}" for number in range(1400))


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the jobs that are done away from the server."""
    away: list[str] = []
    to_thread = asyncio.to_thread

    async def noted(function: Callable[..., Any], *args: object) -> Any:
        away.append(function.__name__)
        return await run_in_process(function, *args)

    async def threaded(function: Callable[..., Any], *args: object) -> Any:
        away.append(function.__name__)
        return await to_thread(function, *args)

    monkeypatch.setattr("collab_storage.subprocesses.run_in_process", noted)
    monkeypatch.setattr(asyncio, "to_thread", threaded)
    return away


@pytest.mark.parametrize("name", ["notes/5", "ours/a"])
def test_a_large_document_is_converted_away_from_the_server(name: str, away: list[str]) -> None:
    documents.replace(name, text=LARGE)
    read = documents.content(name)
    assert read.text.count("\n\n") == 1399
    documents.edit_text(name, "1399 many", "x")
    token = read.token
    with pytest.raises(Conflict):
        documents.replace(name, text="y", base=token, on_conflict="raise")
    assert away == ["replace_update", "render_update", "edit_update", "replace_update"]


def test_html_of_many_tags_is_converted_away_from_the_server(away: list[str]) -> None:
    documents.replace("notes/5", html="<p>small</p>")
    assert away == []
    documents.replace("notes/5", html="<b>" * 2000 + "x")
    assert away == ["replace_update"]


# Changes.


def test_a_change_has_the_content_of_its_document() -> None:
    documents.replace("notes/5", markdown="# a")
    change = Change("notes/5", {"pk": 5}, [], datetime.now(UTC), "tiptap")
    assert (change.html(), change.markdown(), change.text()) == ("<h1>a</h1>", "# a\n", "a")
    assert change.json()["type"] == "doc"


# Templates.


def rendered(template: str, **context: Any) -> str:
    """Return what a template that loads the filters makes."""
    return Template("{% load collab_content %}" + template).render(Context(context))


def test_a_template_shows_a_document_by_its_name() -> None:
    documents.replace("notes/5", text="a < b")
    assert rendered("{{ name|collab_html }}", name="notes/5") == "<p>a &lt; b</p>"
    assert rendered("{{ name|collab_text }}", name="notes/5") == "a &lt; b"
    assert rendered("[{{ name|collab_html }}]", name="notes/6") == "[]"


def test_a_template_shows_a_doc_that_its_view_has_read() -> None:
    doc: Doc[Any] = Doc()
    content.from_text(doc, None, "x", content.PLAIN)
    assert (
        rendered("{{ doc|collab_html:'plain' }}{{ doc|collab_text:'plain' }}", doc=doc)
        == "<p>x</p>x"
    )
    assert rendered("{{ doc|collab_html }}", doc=Doc()) == ""


# Commands.


def export(*arguments: str) -> str:
    """Return what the command prints."""
    stdout = io.StringIO()
    call_command("collab_export", *arguments, stdout=stdout)
    return stdout.getvalue()


def test_documents_are_exported_in_formats_for_people() -> None:
    documents.replace("notes/5", markdown="# a\n\nb")
    assert export("notes/5", "--format", "html") == "<h1>a</h1><p>b</p>\n"
    assert export("notes/5", "--format", "markdown") == "# a\n\nb\n"
    assert export("notes/5", "--format", "text") == "a\n\nb\n"
    assert '"type": "doc"' in export("notes/5", "--format", "json")
    assert '"type": "doc"' in export("notes/5", "--format", "json", "--schema", "tiptap")


def test_a_document_without_a_schema_is_exported_with_all_of_its_roots() -> None:
    for name in ("drawings/a", "elsewhere"):
        documents.replace(name, markdown="# a", schema="tiptap")
        assert '"tag": "heading"' in export(name, "--format", "json")
        assert export(name, "--format", "text") == '<heading level="1">a</heading>\n'


@pytest.mark.parametrize("format", ["html", "json", "markdown", "text"])
def test_a_file_that_was_exported_is_imported_as_the_same_document(
    tmp_path: Path, format: str
) -> None:
    path = tmp_path / "page"
    markdown = "# a" if format != "text" else "a"
    documents.replace("notes/5", markdown=markdown)
    export("notes/5", "--format", format, "-o", str(path))
    command = ("collab_import", "notes/6", str(path))
    call_command(*command, format=format, verbosity=0)
    assert documents.markdown("notes/6") == f"{markdown}\n"
    with pytest.raises(CommandError, match="Replace it with --replace"):
        call_command(*command, format=format)
    before = async_to_sync(get_storage().load)("notes/6")
    call_command(*command, format=format, replace=True, verbosity=0)
    assert async_to_sync(get_storage().load)("notes/6") == before


@pytest.mark.parametrize(
    ("name", "file"), [("a.md", "a"), ("a.html", "<p>a</p>"), ("a.txt", "a"), ("a.json", '"a"')]
)
def test_the_ending_of_a_files_name_says_its_format(tmp_path: Path, name: str, file: str) -> None:
    path = tmp_path / name
    path.write_text(file)
    call_command("collab_import", "texts/a", str(path), schema="plain", verbosity=0)
    assert documents.text("texts/a", schema="plain") == "a"


def test_an_import_says_what_it_had_to_drop(tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    path.write_text("<video></video>x")
    stderr = io.StringIO()
    call_command("collab_import", "notes/5", str(path), verbosity=0, stderr=stderr)
    assert stderr.getvalue() == "notes/5: <video> is not in the schema; dropped 1 times.\n"


def test_an_import_without_a_schema_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("x")
    with pytest.raises(CommandError, match='set content = "tiptap"'):
        call_command("collab_import", "elsewhere", str(path))


# The admin.


@pytest.fixture
def admin_page(admin_client: Client) -> Callable[[str], str]:
    def page(name: str) -> str:
        url = f"/admin/collab_storage/document/{Document.objects.get(name=name).pk}/change/"
        return admin_client.get(url).content.decode()

    return page


@pytest.mark.django_db
def test_the_admin_shows_a_document_as_its_type_reads_it(
    admin_page: Callable[[str], str], request: pytest.FixtureRequest
) -> None:
    with use_orm_storage():
        documents.replace("notes/5", markdown="# a *b*")
        documents.replace("drawings/a", text="plain", schema="plain")
        documents.replace("notes/6", text="x" * 120_000)
        with documents.edit("notes/7") as doc:
            parent: Any = doc.get("default", type=XmlFragment)
            for _ in range(201):
                parent = parent.children.append(XmlElement("blockquote"))
        assert "<h1>a <em>b</em></h1>" in admin_page("notes/5")
        assert "<pre" in admin_page("drawings/a")
        assert "..." in admin_page("notes/6")
        assert "&lt;blockquote" in admin_page("notes/7")


def use_orm_storage() -> Any:
    """Keep documents in the database, where the admin shows them."""
    return override_settings(COLLAB={"STORAGE": {"BACKEND": "collab_storage.orm.ORMStorage"}})
