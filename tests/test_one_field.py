"""The first part of the README: from an empty directory to two browsers in one text.

Its steps are followed with the built wheel, in an environment of its own, without Node.js.
"""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.acceptance.conftest import browser as browser
from tests.harness.chromium import new_context
from tests.harness.ports import ReservedPort
from tests.harness.waiting import poll_until
from tests.samples import README, ROOT, Sample, samples_in
from tests.test_packaging import dist as dist
from tests.test_packaging import wheel as wheel

pytestmark = pytest.mark.wheel


def first_part() -> list[Sample]:
    """Return the samples of the first part."""
    return samples_in(README.read_text("utf-8").partition("## In Python")[0])


def commands() -> list[str]:
    return [line for sample in first_part() if sample.language == "sh" for line in sample.lines]


class CleanProject:
    """A project in an empty directory, with an environment that has what it installs."""

    def __init__(self, directory: Path, wheel: Path) -> None:
        self.directory = directory / "project"
        self.directory.mkdir()
        self._wheel = wheel
        self._bin = directory / "venv" / "bin"
        venv = [sys.executable, "-m", "venv", "--without-pip", str(self._bin.parent)]
        subprocess.run(venv, check=True)
        self.environment = {
            "PATH": str(self._bin),
            "HOME": str(Path.home()),
            "DJANGO_SUPERUSER_PASSWORD": "secret",
        }
        assert shutil.which("node", path=self.environment["PATH"]) is None

    def type(self, line: str) -> None:
        """Run a command as a reader does."""
        match shlex.split(line):
            case ["pip", "install", requirement]:
                extras = requirement.removeprefix("django-collab")
                pip = [sys.executable, "-m", "pip", "--python", str(self._bin / "python")]
                pins = ["--constraint", str(ROOT / "constraints.txt")]
                self._run([*pip, "install", "--quiet", *pins, f"{self._wheel}{extras}"], os.environ)
            case ["python", "manage.py", "createsuperuser"]:
                user = ["--noinput", "--username", "ann", "--email", "ann@example.com"]
                self._run(self.command(f"{line} {shlex.join(user)}"), self.environment)
            case _:
                self._run(self.command(line), self.environment)

    def command(self, line: str) -> list[str]:
        """Return the words of a command, whose program is that of the environment."""
        program, *arguments = shlex.split(line)
        return [str(self._bin / program), *arguments]

    def _run(self, command: list[str], environment: object) -> None:
        result = subprocess.run(
            command,
            cwd=self.directory,
            env=dict(environment),  # type: ignore[call-overload]
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert result.returncode == 0, f"{shlex.join(command)}\n{result.stdout}"

    def write(self, sample: Sample) -> None:
        """Write a file, or add to one."""
        assert sample.file and sample.how in (None, "add")
        path = self.directory / sample.file
        assert path.exists() == (sample.how == "add")
        with path.open("a") as file:
            file.write(sample.code)

    @contextmanager
    def served(self, line: str) -> Iterator[str]:
        """Serve the project at a free port; yield its address."""
        with ReservedPort() as port:
            process = subprocess.Popen(
                [*self.command(line), str(port)], cwd=self.directory, env=self.environment
            )
            try:
                poll_until(lambda: is_open(port))
                yield f"http://127.0.0.1:{port}"
            finally:
                process.terminate()
                process.wait()


def is_open(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def enter(browser: Browser, url: str) -> Page:
    """Open a page of the admin in a browser of its own, through the login."""
    page = new_context(browser).new_page()
    page.goto(url)
    page.get_by_label("Username").fill("ann")
    page.get_by_label("Password").fill("secret")
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(url)
    return page


def body(page: Page) -> Locator:
    return page.locator("collab-editor").get_by_role("textbox")


def test_two_browsers_edit_the_field_of_the_readme(
    wheel: Path, tmp_path: Path, browser: Browser
) -> None:
    project = CleanProject(tmp_path, wheel)
    *steps, serve = commands()
    for sample in first_part():
        if sample.file:
            project.write(sample)
            continue
        for line in sample.lines:
            if line in steps:
                project.type(line)
    with project.served(serve) as address:
        ann = enter(browser, f"{address}/admin/mysite/note/add/")
        ann.get_by_label("Title").fill("First")
        expect(ann.locator("collab-editor .collab-surface")).to_be_visible()
        body(ann).click()
        expect(body(ann)).to_be_focused()
        ann.keyboard.type("Hello")
        ann.get_by_role("button", name="Save and continue editing").click()
        bob = enter(browser, f"{address}/admin/mysite/note/1/change/")
        expect(body(bob)).to_have_text("Hello")
        body(bob).click()
        bob.keyboard.press("Control+End")
        bob.keyboard.type(", everybody")
        expect(body(ann)).to_contain_text("Hello, everybody")
        for page in (ann, bob):
            page.context.close()


def test_startcollab_makes_a_project_and_adds_an_app_to_it(wheel: Path, tmp_path: Path) -> None:
    project = CleanProject(tmp_path, wheel)
    project.type('pip install "django-collab[editor,server]"')
    project.type("startcollab mysite .")
    project.type("python manage.py startcollab notes")
    with (project.directory / "mysite" / "settings.py").open("a") as settings:
        settings.write('INSTALLED_APPS += ["notes"]\n')
    for line in ("makemigrations notes", "migrate", "check --fail-level WARNING"):
        project.type(f"python manage.py {line}")
    with project.served("python manage.py collab_serve") as address:
        assert urlopen(f"{address}/admin/notes/note/").status == 200
