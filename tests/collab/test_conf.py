from __future__ import annotations

import math
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from typing import Any, ClassVar

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from collab.conf import Settings, get_settings, get_storage, unknown_settings
from collab_storage.memory import MemoryStorage
from collab_storage.orm import ORMStorage

MEMORY = {"BACKEND": "collab_storage.memory.MemoryStorage"}


def test_without_settings_everything_has_a_default() -> None:
    with override_settings(COLLAB={}):
        settings = get_settings()
        assert settings == Settings()
        assert isinstance(get_storage(), ORMStorage)


def test_every_limit_is_finite_and_positive_by_default() -> None:
    names = {setting.name for setting in fields(Settings)} - {"TRUSTED_PROXIES"}
    limits = [getattr(Settings(), name) for name in names]
    assert all(0 < limit < math.inf for limit in limits if isinstance(limit, int | float))


def test_settings_are_read_again_after_a_change() -> None:
    with override_settings(COLLAB={"MAX_ROOMS": 7}):
        assert get_settings().MAX_ROOMS == 7
        assert get_settings() is get_settings()
        with override_settings(COLLAB={"MAX_ROOMS": 8}):
            assert get_settings().MAX_ROOMS == 8
    assert get_settings().MAX_ROOMS == Settings().MAX_ROOMS


def test_another_setting_changes_nothing() -> None:
    settings, storage = get_settings(), get_storage()
    with override_settings(DEBUG=True):
        assert get_settings() is settings
        assert get_storage() is storage


def test_an_unknown_key_is_named() -> None:
    with override_settings(COLLAB={"MAX_ROMS": 7, "STORE": {}}):
        assert unknown_settings() == ["MAX_ROMS", "STORE"]
        with pytest.raises(ImproperlyConfigured, match="MAX_ROMS, STORE"):
            get_settings()


def test_the_storage_gets_its_options() -> None:
    orm = {"BACKEND": "collab_storage.orm.ORMStorage", "OPTIONS": {"using": "other"}}
    with override_settings(COLLAB={"STORAGE": orm}):
        storage = get_storage()
        assert isinstance(storage, ORMStorage)
        assert storage.using == "other"


def test_the_storage_is_one_until_the_settings_change() -> None:
    with override_settings(COLLAB={"STORAGE": MEMORY}):
        first = get_storage()
        assert isinstance(first, MemoryStorage)
        assert get_storage() is first
        with override_settings(COLLAB={"STORAGE": MEMORY}):
            assert get_storage() is not first


@pytest.mark.parametrize(
    "storage",
    [{}, {"BACKEND": "no.such.Storage"}, {**MEMORY, "OPTIONS": {"size": 1}}],
)
def test_a_storage_that_cannot_be_made_is_a_configuration_error(storage: dict[str, Any]) -> None:
    with (
        override_settings(COLLAB={"STORAGE": storage}),
        pytest.raises(ImproperlyConfigured, match="STORAGE"),
    ):
        get_storage()


class SlowStorage(MemoryStorage):
    """Its first object is ready when a second one is being made, or never will be."""

    made: ClassVar[list[SlowStorage]] = []
    first, second = threading.Event(), threading.Event()

    def __init__(self) -> None:
        super().__init__()
        self.made.append(self)
        if len(self.made) == 1:
            self.first.set()
            self.second.wait(0.2)
        else:
            self.second.set()


def test_threads_that_ask_at_once_get_the_same_storage() -> None:
    slow = {"BACKEND": f"{__name__}.SlowStorage"}
    with override_settings(COLLAB={"STORAGE": slow}), ThreadPoolExecutor(2) as executor:
        one = executor.submit(get_storage)
        SlowStorage.first.wait()
        other = executor.submit(get_storage)
        assert one.result() is other.result()
        assert len(SlowStorage.made) == 1
