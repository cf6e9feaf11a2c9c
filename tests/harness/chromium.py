"""Chromium for tests; its pages are made slow if that is asked for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.harness.waiting import DEADLINE

__all__ = ["chromium", "new_context"]

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync"
    " --disable-background-networking --disable-component-update"
)
#: The factor by which scripts and layout of each page run slower.
SLOWDOWN = float(os.environ.get("COLLAB_TEST_SLOWDOWN", "1"))


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a browser; ``expect`` waits as long as other tests do."""
    names = ("chromium", "chromium-browser", "google-chrome")
    expect.set_options(timeout=1000 * DEADLINE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=next(filter(None, map(shutil.which, names))), args=FLAGS.split()
        )
        yield browser
        browser.close()


def new_context(browser: Browser, **options: Any) -> BrowserContext:
    """Return a private window of a browser, in which every wait has the deadline of tests."""
    context = browser.new_context(**options)
    context.set_default_timeout(1000 * DEADLINE)
    if SLOWDOWN > 1:
        context.on("page", _slow_down)
    return context


def _slow_down(page: Page) -> None:
    session = page.context.new_cdp_session(page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWDOWN})
