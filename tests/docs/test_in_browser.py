"""The JavaScript of the documentation fits its packages, and the tutorials work in a browser."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.docs.serving import serve_command, served
from tests.harness.chromium import chromium, new_context
from tests.harness.waiting import poll_until
from tests.samples import DOCS, PAGES, ROOT, TUTORIAL, Project, samples

NODE_MODULES = ROOT / "example" / "node_modules"
#: Has the packages of editors.
EDITORS = ROOT / "tests" / "editors"


@pytest.mark.browser
def test_the_javascript_samples_fit_the_types_of_the_packages(tmp_path: Path) -> None:
    modules = tmp_path / "node_modules"
    modules.mkdir()
    for package in [*NODE_MODULES.iterdir(), EDITORS / "node_modules" / "@tiptap"]:
        (modules / package.name).symlink_to(package)
    pages = {page: samples(page, "js") for page in PAGES}
    files: list[Path] = []
    for page, found in pages.items():
        for number, sample in enumerate(found):
            files.append(tmp_path / f"{page.stem}-{number}.js")
            files[-1].write_text(sample.code)
    assert files
    options = (
        "--noEmit --allowJs --checkJs --strict false --skipLibCheck --target es2022 --module esnext"
        " --moduleResolution bundler --lib es2023,dom,dom.iterable"
    )
    command = [str(NODE_MODULES / ".bin" / "tsc"), *options.split(), *map(str, files)]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


@pytest.mark.browser
def test_the_typescript_samples_fit_what_is_made_of_the_python_samples(
    project_after: Callable[[Path], Project],
) -> None:
    page = DOCS / "typescript.md"
    project = project_after(page)
    made = (project.directory / "channels" / "notes.ts").read_text()
    for sample in samples(page, "ts", "tsx"):
        if not sample.file:
            assert sample.code.removeprefix("// Of channels/notes.ts\n") in made
    client = ROOT / "client-js"
    modules = project.directory / "node_modules"
    modules.mkdir()
    (modules / "django-collab").symlink_to(client)
    (modules / "@types").symlink_to(client / "node_modules" / "@types")
    options = (
        "--noEmit --strict --skipLibCheck --target es2022 --module esnext --jsx react-jsx"
        " --moduleResolution bundler --lib es2023,dom,dom.iterable --types react"
    )
    files = [sample.file for sample in samples(page, "ts", "tsx") if sample.file]
    tsc = client / "node_modules" / ".bin" / "tsc"
    command = [str(tsc), "--ignoreConfig", *options.split(), *files]
    result = subprocess.run(command, cwd=project.directory, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


# Playwright runs an event loop of its own, which tests of other modules must not find.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def build(page: Path, project: Project) -> None:
    """Build the script of a page, as the page says."""
    (project.directory / "node_modules").symlink_to(NODE_MODULES)
    [line] = [
        line
        for sample in samples(page, "sh")
        for line in sample.lines
        if line.startswith("npx esbuild")
    ]
    project.run(str(NODE_MODULES / ".bin" / "esbuild"), *shlex.split(line)[2:])


@pytest.mark.browser
def test_two_people_write_a_document_of_a_type_on_a_page_of_its_own(
    first_project: Project, browser: Browser
) -> None:
    with served(first_project, serve_command(TUTORIAL)) as address:
        ann, bob = (enter(browser, f"http://{address}/drafts/first") for _ in range(2))
        texts = [page.locator("collab-editor").get_by_role("textbox") for page in (ann, bob)]
        texts[0].click()
        ann.keyboard.type("Hello")
        expect(texts[1]).to_contain_text("Hello")
        expect(ann.locator("collab-editor")).to_have_attribute("data-state", "saved")
        ann.close()
        bob.close()
        assert "Hello" in first_project.run_all(
            "from collab import documents\nprint(documents.html('drafts/first'))"
        )


@pytest.mark.browser
def test_two_people_write_the_text_of_the_first_tutorial(
    first_project: Project, browser: Browser
) -> None:
    build(TUTORIAL, first_project)
    with served(first_project, serve_command(TUTORIAL)) as address:
        ann, bob = (enter(browser, f"http://{address}/notes/first") for _ in range(2))
        for page in (ann, bob):
            page.get_by_label("Text").focus()
        ann.keyboard.type("Hello")
        expect(bob.locator("textarea")).to_have_value("Hello")
        bob.keyboard.press("Home")
        bob.keyboard.type("Oh, ")
        expect(ann.locator("textarea")).to_have_value("Oh, Hello")
        # Her cursor is where it was, behind the text.
        ann.keyboard.type(" you")
        expect(bob.locator("textarea")).to_have_value("Oh, Hello you")
        bob.get_by_role("button", name="Sign").click()
        expect(bob.locator("body")).to_contain_text("ann was here.")
        expect(ann.locator("textarea")).to_have_value("ann was here.\nOh, Hello you")
        ann.close()
        bob.close()


@pytest.mark.browser
def test_two_people_and_the_admin_change_the_board_of_the_tutorial(
    project_after: Callable[[Path], Project], browser: Browser
) -> None:
    page = DOCS / "tutorial-rows.md"
    project = project_after(page)
    build(page, project)
    project.run_all("from notes.models import Board; Board.objects.create(name='Kitchen')")
    with served(project, serve_command(page)) as address:
        ann, bob = (enter(browser, f"http://{address}/boards/1") for _ in range(2))
        ann.get_by_label("A new task").fill("Paint")
        ann.get_by_label("A new task").press("Enter")
        form = f"http://{address}/admin/notes/task/1/change/"
        # It is saved, and gets the key of its row, a moment later.
        poll_until(lambda: bob.goto(form) and bob.get_by_label("Title").count())
        bob.goto(f"http://{address}/boards/1")
        bob.get_by_label("Paint").check()
        expect(ann.get_by_label("Paint")).to_be_checked()
        poll_until(lambda: bob.goto(form) and bob.get_by_label("Done").is_checked())
        bob.get_by_label("Title").fill("Paint it blue")
        bob.get_by_role("button", name="Save", exact=True).click()
        expect(ann.get_by_label("Paint it blue")).to_be_checked()
        ann.close()
        bob.close()


@pytest.mark.browser
def test_two_people_chat_as_in_the_tutorial(
    project_after: Callable[[Path], Project], browser: Browser
) -> None:
    page = DOCS / "tutorial-live.md"
    project = project_after(page)
    build(page, project)
    with served(project, serve_command(page)) as address:
        ann, bob = (enter(browser, f"http://{address}/chat/") for _ in range(2))
        ann.get_by_label("Say something").fill("Hello")
        ann.get_by_label("Say something").press("Enter")
        for each in (ann, bob):
            expect(each.locator("li")).to_have_text("ann: Hello")
        expect(ann.get_by_label("Say something")).to_have_value("")
        ann.get_by_label("Say something").press("Enter")
        expect(ann.locator("output")).to_have_text('[{"text":["Say something."]}]')
        bob.get_by_label("Say something").fill("x")
        bob.get_by_label("Say something").press("Enter")
        expect(ann.locator("li")).to_have_text(["ann: Hello", "ann: x"])
        # Newcomers get the last messages.
        bob.reload()
        expect(bob.locator("li")).to_have_text(["ann: Hello", "ann: x"])
        ann.close()
        bob.close()


def enter(browser: Browser, url: str) -> Page:
    """Open a page in a window of its own, through the login."""
    page = new_context(browser).new_page()
    page.goto(url)
    page.get_by_label("Username").fill("ann")
    page.get_by_label("Password").fill("secret")
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(url)
    return page
