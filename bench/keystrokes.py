"""How long a keystroke in ``<collab-editor>`` takes to the screens of two people in Chromium."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from collab import __version__
from tests.harness.fixtures import migrate
from tests.harness.server import Server

from .table import circumstances, table

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["add_arguments", "run"]

#: A document of ``tests.editor.site`` that has so many paragraphs when it is new.
_PATH = "/page/notes/long"
_PARAGRAPHS = 2000
_FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync")
_OWN, _OTHER = "to the own screen", "to the other screen"

#: Records when a frame with each letter has been made; pages of one machine have one clock.
_WATCH = """(index) => {
  const text = document.querySelector(".tiptap");
  const now = () => performance.timeOrigin + performance.now();
  const letters = () => text.children[index].textContent.split("x").length - 1;
  window.typed = [];
  window.shown = [];
  const show = (count) => {
    while (shown.length < count) shown.push(now());
  };
  const observer = new MutationObserver(() => {
    const count = letters();
    requestAnimationFrame(() => setTimeout(() => show(count)));
  });
  observer.observe(text, { childList: true, characterData: true, subtree: true });
  const press = ({ key, timeStamp }) => {
    if (key === "x") typed.push(performance.timeOrigin + timeStamp);
  };
  addEventListener("keydown", press, true);
}"""
_SHOWN = "(count) => window.shown.length >= count"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to ``parser``."""
    parser.add_argument("--keys", type=int, default=200, help="that are pressed (200)")
    parser.add_argument("--repeat", type=int, default=3, help="take the median of so many (3)")


def run(arguments: argparse.Namespace) -> int:
    """Type in one browser, watch in another one, and print what that took."""
    rounds = [_measure(arguments.keys) for _ in range(arguments.repeat)]
    title = f"a document of {_PARAGRAPHS:,} paragraphs"
    rows = {
        (title, f"a keystroke, {name}, ms"): {
            column: [figures[column][name] for figures in rounds] for column in (_OWN, _OTHER)
        }
        for name in ("p50", "p95")
    }
    lines = table(rows, [_OWN, _OTHER], [])
    packages = ["playwright", "uvicorn"]
    print("\n".join([*lines, "", circumstances(len(rounds), [f"collab {__version__}"], packages)]))
    return 0


def _measure(keys: int) -> dict[str, dict[str, float]]:
    with _served() as server, _browser() as browser, ExitStack() as stack:
        writer, reader = (_page(browser, server, stack) for _ in range(2))
        writer.locator(".tiptap > p").nth(_PARAGRAPHS // 2).click()
        writer.keyboard.press("End")
        for count in range(1, keys + 1):
            writer.keyboard.press("x")
            for page in (writer, reader):
                page.wait_for_function(_SHOWN, arg=count)
        typed: list[float] = writer.evaluate("window.typed")
        screens = {_OWN: writer, _OTHER: reader}
        shown = {column: page.evaluate("window.shown") for column, page in screens.items()}
    return {column: _figures(typed, times) for column, times in shown.items()}


def _figures(typed: list[float], shown: list[float]) -> dict[str, float]:
    taken = [after - before for before, after in zip(typed, shown, strict=True)]
    parts = quantiles(taken, n=20, method="inclusive")
    return {"p50": parts[9], "p95": parts[18]}


def _page(browser: Browser, server: Server, stack: ExitStack) -> Page:
    """Open the document in a browser of its own, and wait until all of it is there."""
    context = browser.new_context()
    stack.callback(context.close)
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{server.port}{_PATH}")
    page.locator(".tiptap[contenteditable=true] > p").nth(_PARAGRAPHS - 1).wait_for()
    page.evaluate(_WATCH, _PARAGRAPHS // 2)
    return page


@contextmanager
def _served() -> Iterator[Server]:
    with TemporaryDirectory() as directory:
        database = f"sqlite://{directory}/bench.sqlite3"
        migrate(database)
        server = Server(
            Path(directory) / "log",
            database,
            application="tests.editor.site:application",
            environment={"DJANGO_SETTINGS_MODULE": "tests.editor.site_settings"},
        )
        with closing(server):
            server.start()
            yield server


@contextmanager
def _browser() -> Iterator[Browser]:
    # Other benchmarks run where there is no browser.
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_FLAGS)
        yield browser
        browser.close()
