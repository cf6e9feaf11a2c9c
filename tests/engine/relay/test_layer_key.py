"""Projects that share a channel layer have other groups and other tokens."""

from __future__ import annotations

from django.test import override_settings

from collab.engine.relay.layer_key import layer_group, layer_token


def names() -> set[str]:
    return {layer_group("room", "notes"), layer_group("live", "notes"), layer_token()}


def test_a_group_is_always_the_same_and_another_for_each_kind_and_name() -> None:
    assert len(names()) == 3
    assert names() == names()
    assert layer_group("room", "notes") != layer_group("room", "plans")
    # As Channels wants the names of groups.
    assert len(layer_group("room", "any name: \U0001f600")) < 100


def test_another_secret_key_or_database_is_another_project() -> None:
    ours = names()
    with override_settings(SECRET_KEY="of another project"):
        assert not names() & ours
    options = {"BACKEND": "collab_storage.orm.ORMStorage", "OPTIONS": {"using": "postgres"}}
    with override_settings(COLLAB={"STORAGE": options}):
        assert not names() & ours
    assert names() == ours
