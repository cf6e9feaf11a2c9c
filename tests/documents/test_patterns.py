"""Patterns of document names are those of Django's ``path()``, in both directions."""

from __future__ import annotations

from uuid import UUID

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given
from hypothesis import strategies as st

from collab.documents.patterns import NamePattern
from collab.exceptions import InvalidName

KEY = UUID("075194d3-6885-417e-a8a8-6c931e272f00")


def test_a_name_that_matches_gives_converted_parameters() -> None:
    assert NamePattern("notes/<int:pk>").match("notes/5") == {"pk": 5}
    assert NamePattern("<uuid:key>/text").match(f"{KEY}/text") == {"key": KEY}
    assert NamePattern("wiki/<path:path>").match("wiki/a/b") == {"path": "a/b"}
    assert NamePattern("<title>").match("Grüße an alle") == {"title": "Grüße an alle"}
    assert NamePattern("board").match("board") == {}


@pytest.mark.parametrize("name", ["notes/x", "notes/5/more", "my/notes/5", "notes/", "Notes/5"])
def test_a_name_that_does_not_match_gives_none(name: str) -> None:
    assert NamePattern("notes/<int:pk>").match(name) is None


@given(st.integers(0, 10**9), st.from_regex(r"[-a-zA-Z0-9_]+", fullmatch=True))
def test_a_name_made_of_parameters_gives_them_back(pk: int, slug: str) -> None:
    pattern = NamePattern("notes/<int:pk>/<slug:slug>")
    assert pattern.match(pattern.name(pk=pk, slug=slug[:50])) == {"pk": pk, "slug": slug[:50]}


def test_a_name_is_not_quoted_as_a_url_would_be() -> None:
    assert NamePattern("<title>").name(title="50 % ä") == "50 % ä"


def test_parameters_other_than_the_patterns_are_named() -> None:
    pattern = NamePattern("notes/<int:pk>")
    for parameters in ({}, {"id": 5}, {"pk": 5, "more": 1}):
        with pytest.raises(TypeError, match=r"'notes/<int:pk>' takes pk\."):
            pattern.name(**parameters)
    with pytest.raises(TypeError, match="takes no parameters"):
        NamePattern("board").name(pk=5)


def test_a_parameter_that_the_pattern_does_not_accept_is_refused() -> None:
    with pytest.raises(ValueError, match="'notes/a/b' does not match"):
        NamePattern("notes/<slug:key>").name(key="a/b")
    with pytest.raises(InvalidName):
        NamePattern("notes/<str:key>").name(key="a" * 300)


def test_a_pattern_that_is_not_valid_is_refused_at_once() -> None:
    with pytest.raises(ImproperlyConfigured, match="uses invalid converter 'number'"):
        NamePattern("notes/<number:pk>")
    with pytest.raises(ImproperlyConfigured, match="begins with a slash"):
        NamePattern("/notes/<int:pk>")


def test_the_prefix_is_the_text_before_the_first_parameter() -> None:
    assert NamePattern("notes/<int:pk>/<slug:part>").prefix == "notes/"
    assert NamePattern("board").prefix == "board"


@pytest.mark.parametrize("converter", ["int", "str", "slug", "path", "uuid"])
def test_samples_match_their_pattern(converter: str) -> None:
    pattern = NamePattern(f"a/<{converter}:x>/b/<int:y>")
    assert pattern.samples()
    assert all(pattern.match(sample) for sample in pattern.samples())
    assert NamePattern("a/<x>").samples()
