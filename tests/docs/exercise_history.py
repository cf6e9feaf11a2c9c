"""Uses the samples of docs/history.md."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.template.loader import render_to_string
from django.test import Client
from essays.models import Essay  # type: ignore[import-not-found]
from pycrdt import Text

from collab import documents, history

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_editor_has_the_address_at_which_its_user_gets_versions() -> None:
    essay, ann = Essay.objects.create(), User.objects.create(username="ann")
    name = f"essays/{essay.pk}"
    with documents.edit(name, user=ann) as doc:
        doc.get("text", type=Text).insert(0, "Monday. ")
    version = history.create(name, "First", user=ann)
    html = render_to_string("essays/versions.html", {"name": name, "user": ann})
    assert f' history-url="/history/{name}/versions/"' in html
    client = Client()
    client.force_login(ann)
    found = client.get(f"/history/{name}/versions/").json()
    assert [each["id"] for each in found["versions"]] == [version.id]
    assert found["can_restore"] and found["users"] == {str(ann.pk): "ann"}
    assert Client().get(f"/history/{name}/versions/").status_code == 401
    assert "history-url" not in render_to_string("essays/versions.html", {"name": name})
