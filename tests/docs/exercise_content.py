"""Uses the samples of docs/content.md."""

from __future__ import annotations

import pytest
from django.template.loader import render_to_string

from collab import documents

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_template_shows_a_page() -> None:
    documents.replace("pages/a", markdown="*x* y")
    page = render_to_string("pages/page.html", {"name": "pages/a"})
    assert "<article><p><em>x</em> y</p></article>" in page
