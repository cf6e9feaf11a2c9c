"""Fixtures of all tests: this run's directory, and the services that they say they need."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator

import hypothesis
import pytest
from asgiref.sync import SyncToAsync
from django.db import connections

from tests import settings
from tests.harness.waiting import DEADLINE

# Failing assertions of the contract show their values, as those of test files do.
pytest.register_assert_rewrite("collab_storage.testing")

pytest_plugins = ["tests.harness.services", "tests.harness.fixtures"]

#: Tests that use one of these fixtures get the marker of that name.
MARKERS = {"postgres_cluster": "postgres", "redis_process": "redis"}

# How long an example takes is the machine's business, which others may be using.
hypothesis.settings.register_profile(
    "tests", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("tests")


def pytest_configure(config: pytest.Config) -> None:
    """Make the directory that the settings name; it is deleted when the run ends."""
    # A terminated run stops the services that it has started, as an interrupted one does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    settings.DIRECTORY.mkdir()
    if config.getoption("dist", "no") != "no":
        # Its worker processes inherit the environment, and each needs a directory of its own.
        del os.environ["COLLAB_TEST_DIR"]


def pytest_unconfigure() -> None:
    """Delete the directory with all that the run has left in it."""
    shutil.rmtree(settings.DIRECTORY)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need a service, before tests are chosen by their markers."""
    for item in items:
        for name in _services(item):
            item.add_marker(name)


def _services(item: pytest.Item) -> set[str]:
    fixtures = getattr(item, "fixturenames", [])
    needed = {marker for fixture, marker in MARKERS.items() if fixture in fixtures}
    for mark in item.iter_markers("django_db"):
        needed |= {"postgres"} & set(mark.kwargs.get("databases") or ())
    return needed


@pytest.fixture(autouse=True)
def connections_of_the_shared_thread() -> Iterator[None]:
    """Close the connections of asgiref's shared thread, which the next test may not use."""
    yield
    SyncToAsync.single_thread_executor.submit(connections.close_all).result()


@pytest.fixture(autouse=True)
def patient_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the clients of ``collab.testing`` wait as long as those of this folder."""
    monkeypatch.setattr("collab.testing.client.TIMEOUT", DEADLINE)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(request: pytest.FixtureRequest) -> None:
    """Start PostgreSQL before the test databases are made, if any test is about to use it."""
    if any(item.get_closest_marker("postgres") for item in request.session.items):
        request.getfixturevalue("postgres_cluster")
