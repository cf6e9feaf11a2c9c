"""HTML of ``<collab-editor>``."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from django.urls import clear_script_prefix, set_script_prefix
from django.utils.safestring import mark_safe

from collab.access import Access, granted_access
from collab.editor.element.people import COLORS
from collab.editor.rendering import editor_html, media

SCRIPT_TEXT = '"><script>alert(1)</script>'


def test_all_that_is_given_is_escaped() -> None:
    html = editor_html(
        SCRIPT_TEXT,
        field=SCRIPT_TEXT,
        placeholder=SCRIPT_TEXT,
        form_field=SCRIPT_TEXT,
        rendered=SCRIPT_TEXT,
        user=User(pk=1, username=SCRIPT_TEXT),
        label=SCRIPT_TEXT,
    )
    assert "<script" not in html
    assert html.count("&gt;&lt;script&gt;") == 9


def test_rendered_html_is_in_the_element_and_in_the_input() -> None:
    html = editor_html("notes/5", form_field="body", rendered=mark_safe("<p>Hello</p>"))
    assert '<div class="collab-rendered"><p>Hello</p></div>' in html
    assert '<input type="hidden" name="body" value="&lt;p&gt;Hello&lt;/p&gt;">' in html


def test_options_become_attributes() -> None:
    html = editor_html("a", editor="plain", readonly=True, offline=False, mentions_url="/people")
    assert ' editor="plain"' in html
    assert " readonly" in html and " no-offline" in html
    assert ' mentions-url="/people"' in html
    assert "token" not in html and "placeholder" not in html


def test_an_unknown_option_or_kind_is_refused() -> None:
    with pytest.raises(ImproperlyConfigured, match="colour"):
        editor_html("a", colour="red")
    with pytest.raises(ImproperlyConfigured, match="rich, markdown, code, plain"):
        editor_html("a", editor="poem")
    with pytest.raises(ImproperlyConfigured, match='"read" or "write"'):
        editor_html("a", access="everything")


def test_a_grant_is_signed_for_the_document() -> None:
    token = editor_html("a", access="read").partition(' token="')[2].partition('"')[0]
    assert granted_access(token, "a") == Access.READ
    assert granted_access(token, "b") == Access.NONE


def test_users_have_names_and_colours() -> None:
    html = editor_html("a", user=User(pk=7, username="ann", first_name="Ann", last_name="Lee"))
    assert ' user-name="Ann Lee"' in html and ' user-id="7"' in html
    assert any(f' user-color="{color}"' in html for color in COLORS)
    assert ' user-name="ann"' in editor_html("a", user=User(pk=7, username="ann"))
    assert ' user-name="Guest"' in editor_html("a", user=AnonymousUser())


def test_the_script_is_a_module() -> None:
    assert str(media()) == '<script src="/static/collab_editor/editor.js" type="module"></script>'


def test_a_page_says_the_version_of_the_type_that_it_was_made_for() -> None:
    assert ' version="1"' in editor_html("versioned/a")
    assert ' version="0"' in editor_html("versioned/a", version=0)
    assert " version" not in editor_html("a")


def test_versions_are_offered_if_the_project_has_their_address() -> None:
    html = editor_html("a b/c", history=True, access="read")
    assert ' history-url="/history/a%20b/c/versions/"' in html
    token = html.partition(' token="')[2].partition('"')[0]
    assert granted_access(token, "a b/c", history=True) == Access.READ
    assert "history-url" not in editor_html("a")
    with (
        override_settings(ROOT_URLCONF="tests.editor.no_urls"),
        pytest.raises(ImproperlyConfigured, match=r'include\("collab.history.urls"\)'),
    ):
        editor_html("a", history=True)


def test_images_are_stored_by_a_view_if_there_is_one() -> None:
    assert "upload-url" not in editor_html("a")
    with override_settings(ROOT_URLCONF="tests.editor.uploads.test_views"):
        assert ' upload-url="/collab/upload/"' in editor_html("a")


def test_websockets_are_below_the_address_of_the_project() -> None:
    assert ' url="/ws/"' in editor_html("a")
    set_script_prefix("/wiki/")
    try:
        assert ' url="/wiki/ws/"' in editor_html("a")
        assert ' url="/sockets/"' in editor_html("a", url="/sockets/")
    finally:
        clear_script_prefix()
