"""Documents in pages of the admin: their content, and changes of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from asgiref.sync import async_to_sync
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from collab.documents import policy
from collab.documents.document_content import DocumentContent
from collab.documents.merging.texts import replacements
from collab.documents.registry import resolve
from collab.exceptions import ContentError
from collab.history.users import user_names
from collab_storage.admin import SHOWN
from collab_storage.render import render_text
from collab_storage.subdocuments import temporary_doc

__all__ = ["admin_link", "changes_html", "content_html", "named_users", "page_link"]

#: Characters around a change that are shown with it.
_CONTEXT = 200


def content_html(name: str, state: bytes) -> SafeString | None:
    """Return the content of a document as its type says that it is read.

    ``None`` if its type does not say it, or if it cannot be read so, or is very long.
    """
    try:
        parts = [(root, content.html) for root, content in _contents(name, state)]
    except ContentError:
        return None
    if not parts or sum(len(html) for _root, html in parts) > SHOWN:
        return None
    if len(parts) == 1:
        return format_html("<div>{}</div>", mark_safe(parts[0][1]))
    shown = ((root, mark_safe(html)) for root, html in parts)
    return format_html_join("", "<h3>{}</h3><div>{}</div>", shown)


def changes_html(name: str, before: bytes, after: bytes) -> SafeString:
    """Return the changes between two states of a document, with the text around them."""
    old, new = _text(name, before), _text(name, after)
    parts: list[SafeString] = []
    end = 0
    for start, stop, insert in replacements(old, new):
        parts += [
            _unchanged(old[end:start], is_first=not parts),
            format_html("<del>{}</del>", old[start:stop]) if start < stop else SafeString(""),
            format_html("<ins>{}</ins>", insert) if insert else SafeString(""),
        ]
        end = stop
    if not parts:
        return format_html("<p>{}</p>", _("Nothing that can be shown as text."))
    parts.append(_unchanged(old[end:], is_last=True))
    html = mark_safe("".join(parts))
    if len(html) > SHOWN:
        return format_html("<p>{}</p>", _("The changes are too long to be shown."))
    return format_html('<pre style="white-space: pre-wrap">{}</pre>', html)


def admin_link(page: str, text: str, *args: Any, query: str = "") -> SafeString:
    """Return a link to a page of the admin, or the text alone if the project does not have it."""
    try:
        url = reverse(f"admin:collab_storage_{page}", args=args)
    except NoReverseMatch:
        return format_html("{}", text)
    return format_html('<a href="{}">{}</a>', url + query, text)


def page_link(name: str) -> SafeString | None:
    """Return a link to the page that shows a document, if its type knows one."""
    url = async_to_sync(policy.absolute_url)(name)
    return None if url is None else format_html('<a href="{}">{}</a>', url, url)


def named_users(keys: Iterable[str | None], known: Mapping[str, str] | None = None) -> str | None:
    """Return the names of users by their keys; ``None`` is a user who is not logged in.

    Args:
        keys: of the users.
        known: names that have been looked up already, of all of them that there still are.
    """
    keys = list(keys)
    logged_in = [key for key in keys if key is not None]
    if known is None:
        known = user_names(logged_in)
    names = [known[key] for key in dict.fromkeys(logged_in) if key in known]
    names += [_("anonymous user") for key in keys if key is None]
    return ", ".join(names) or None


def _contents(name: str, state: bytes) -> Iterator[tuple[str | None, DocumentContent]]:
    resolved = resolve(name)
    contents = {} if resolved is None else resolved.document_type.contents()
    for root, schema in contents.items():
        yield root, DocumentContent(name, state, schema, root)


def _text(name: str, state: bytes) -> str:
    try:
        texts = [content.markdown for _root, content in _contents(name, state)]
    except ContentError:
        texts = []
    return "\n\n".join(texts) if texts else _plain(state)


def _plain(state: bytes) -> str:
    with temporary_doc(state) as doc:
        return render_text(doc)


def _unchanged(text: str, *, is_first: bool = False, is_last: bool = False) -> SafeString:
    head = "" if is_first else text[:_CONTEXT]
    tail = "" if is_last else text[-_CONTEXT:]
    if len(head) + len(tail) >= len(text):
        return format_html("{}", text)
    return format_html("{}\N{HORIZONTAL ELLIPSIS}{}", head, tail)
