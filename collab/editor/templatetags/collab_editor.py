"""An editor in a template: ``{% load collab_editor %} {% collab_editor "notes/5" %}``."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.safestring import SafeString, mark_safe

from collab import documents
from collab.access import Access
from collab.documents import policy
from collab.editor.rendering import editor_html, media
from collab.exceptions import ContentError, DocumentNotFound

__all__ = ["collab_editor"]

register = template.Library()

_HAS_MEDIA = "collab_editor.has_media"


@register.simple_tag(takes_context=True)
def collab_editor(context: template.Context, name: str, **options: Any) -> SafeString:
    """Return an editor of the document ``name``, and its script at the first time on a page.

    The text is rendered, for browsers without JavaScript, if the document's type lets the user
    read it. The options are those of :func:`~collab.editor.rendering.editor_html`.
    """
    name = str(name)
    user = options.setdefault("user", context.get("user"))
    access = _access(name, user, options.get("access"))
    if access is not None:
        options.setdefault("readonly", access < Access.WRITE)
        if access < Access.READ:
            options.pop("history", None)
        if access >= Access.READ and "rendered" not in options:
            options["rendered"] = _rendered(
                name, options.get("editor", "rich"), options.get("field", "default")
            )
    if token := context.get("csrf_token"):
        options.setdefault("csrf_token", str(token))
    return mark_safe(_script(context) + editor_html(name, **options))


def _script(context: template.Context) -> str:
    shared: dict[Any, Any] = context.render_context.dicts[0]
    if _HAS_MEDIA in shared:
        return ""
    shared[_HAS_MEDIA] = True
    return str(media())


def _access(name: str, user: Any, granted: Any) -> Access | None:
    """Return the user's access; ``None`` if the consumer of the document decides."""
    if granted is not None:
        return Access[granted.upper()] if isinstance(granted, str) else Access(granted)
    return policy.access_of(name, user)


def _rendered(name: str, editor: str, field: str) -> str:
    try:
        if editor == "rich":
            return mark_safe(documents.html(name, schema="tiptap", field=field))
        return documents.text(name, schema="plain", field=field)
    except (DocumentNotFound, ContentError):
        # Content of one member must not make the page fail for all users.
        return ""
