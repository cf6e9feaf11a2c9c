"""The example as served, and the browsers of those who visit it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.harness.chromium import chromium, new_context

from .browsing import DESKTOP, Enter, Visitor
from .site import Line, Site


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests; each visitor has a private window of it."""
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the demo users in it, to be copied: hashing their passwords takes time."""
    directory = tmp_path_factory.mktemp("prepared")
    site = Site(directory)
    site.start()
    site.close()
    return directory / "site.sqlite3"


@pytest.fixture
def site(prepared: Path, tmp_path: Path) -> Iterator[Site]:
    """The example with a database of the test's own."""
    shutil.copy(prepared, tmp_path)
    site = Site(tmp_path)
    site.start()
    yield site
    site.close()


@pytest.fixture
def enter(browser: Browser, site: Site) -> Iterator[Enter]:
    """Open the site for a user, logged in if a name is given."""
    visitors = []
    with ExitStack() as stack:

        def enter(name: str | None = None, **options: Any) -> Visitor:
            line = stack.enter_context(Line(site.port))
            context = new_context(browser, **{"viewport": DESKTOP, **options})
            stack.callback(context.close)
            visitor = Visitor(context, line)
            visitors.append(visitor)
            if name:
                visitor.log_in(name)
            return visitor

        yield enter
    assert [error for visitor in visitors for error in visitor.errors] == []
