"""HTML of ``<collab-editor>``, for templates and widgets."""

from __future__ import annotations

from base64 import b64encode
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured
from django.forms.widgets import Media, Script
from django.urls import NoReverseMatch, reverse
from django.utils.html import conditional_escape, escape, format_html, format_html_join
from django.utils.safestring import SafeString

from collab.access import grant
from collab.documents import type_of
from collab.editor.element.people import person
from collab.editor.element.strings import catalogue
from collab.editor.options import EditorOptions

__all__ = ["SCRIPT", "draft_html", "editor_html", "media"]

#: The static file that defines the element; it loads the others.
SCRIPT: Final = "collab_editor/editor.js"


def editor_html(name: str, *, user: Any = None, rendered: str = "", **options: Any) -> SafeString:
    """Return an editor of a document; the page also needs :func:`media`.

    Args:
        name: the document.
        user: whose name and colour others see; by default the connection's.
        rendered: the content, shown until the editor is there; HTML if it is marked safe.
        options: see :class:`~collab.editor.options.EditorOptions`.

    Raises:
        ImproperlyConfigured: an option is not valid.
    """
    chosen = EditorOptions.of(options)
    return format_html(
        '<collab-editor{}><div class="collab-rendered">{}</div>{}</collab-editor>',
        _written(_attributes(name, user, chosen)),
        conditional_escape(rendered),
        _input(chosen.form_field, rendered),
    )


def draft_html(control: SafeString, state: bytes, **options: Any) -> SafeString:
    """Return an editor of a text whose document there is not yet; its form sends the text.

    Args:
        control: a text area with the text, for browsers without JavaScript.
        state: the text in the root ``field`` of a document, as an update.
        options: see :class:`~collab.editor.options.EditorOptions`.

    Raises:
        ImproperlyConfigured: an option is not valid.
    """
    attributes = EditorOptions.of({**options, "status": False}).attributes()
    del attributes["url"]
    attributes["draft"] = b64encode(state).decode()
    if texts := catalogue():
        attributes["strings"] = texts
    return format_html("<collab-editor{}>{}</collab-editor>", _written(attributes), control)


def _attributes(name: str, user: Any, options: EditorOptions) -> dict[str, str | bool]:
    attributes = {"name": name, **options.attributes()}
    if "upload-url" not in attributes and (upload_url := _upload_url()):
        attributes["upload-url"] = upload_url
    if user is not None:
        # The name and the colour that others see.
        attributes |= {f"user-{key}": value for key, value in person(user).items() if value}
    version = _type_version(name) if options.version is None else options.version
    if version is not None:
        attributes["version"] = str(version)
    if texts := catalogue():
        attributes["strings"] = texts
    if options.history:
        attributes["history-url"] = _history_url(name)
    if options.access is not None:
        attributes["token"] = grant(name, options.access, history=options.history)
    return attributes


def media() -> Media:
    """Return the script of the element, for forms and templates."""
    script: Any = Script(SCRIPT, type="module")
    return Media(js=[script])


def _type_version(name: str) -> int | None:
    """Return the version of a document's structure that its type has."""
    document_type = type_of(name)
    return None if document_type is None else document_type.version


def _upload_url() -> str:
    try:
        return reverse("collab_editor:upload")
    except NoReverseMatch:
        return ""


def _history_url(name: str) -> str:
    try:
        return reverse("collab_history:versions", args=[name])
    except NoReverseMatch as error:
        raise ImproperlyConfigured(
            "An editor offers versions, and no URL has them: add"
            ' path("history/", include("collab.history.urls")) to the urlpatterns.'
        ) from error


def _written(attributes: dict[str, str | bool]) -> SafeString:
    """Return attributes as HTML; text that is marked safe is escaped, too."""
    return format_html_join(
        "",
        " {}{}",
        (
            (name, "" if value is True else format_html('="{}"', escape(value)))
            for name, value in attributes.items()
        ),
    )


def _input(form_field: str | None, value: str) -> SafeString:
    if not form_field:
        return SafeString("")
    values = escape(form_field), escape(value)
    return format_html('<input type="hidden" name="{}" value="{}">', *values)
