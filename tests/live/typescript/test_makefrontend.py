"""``manage.py makefrontend`` keeps a directory as the consumers are."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.core.management.base import SystemCheckError
from pytest_django import Settings

from collab.live.typescript.files import HEADER
from tests.harness.waiting import poll_until
from tests.samples import Project

OTHER = "tests.projects.consumers.application"
SAMPLE = "tests.live.sample_consumers.application"


@pytest.fixture(autouse=True)
def application(settings: Settings) -> None:
    settings.ASGI_APPLICATION = OTHER


def run(*arguments: Any) -> str:
    out = StringIO()
    call_command("makefrontend", *arguments, stdout=out)
    return out.getvalue()


def times(directory: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in directory.iterdir()}


def test_it_writes_a_file_for_each_app(tmp_path: Path) -> None:
    directory = tmp_path / "channels"
    assert run("--out", directory) == f"Wrote {directory / 'projects.ts'}\n"
    text = (directory / "projects.ts").read_text()
    assert text.startswith(HEADER)
    assert "export class ProjectLiveChannel" in text


def test_the_directory_is_a_setting(tmp_path: Path, settings: Settings) -> None:
    settings.COLLAB = {"DEFAULT_ACCESS": "write", "LIVE_FRONTEND_DIR": str(tmp_path)}
    run()
    assert list(times(tmp_path)) == ["projects.ts"]


def test_unchanged_files_are_not_touched(tmp_path: Path) -> None:
    run("--out", tmp_path)
    before = times(tmp_path)
    assert run("--out", tmp_path) == ""
    assert times(tmp_path) == before


def test_files_of_apps_that_are_gone_are_deleted_and_no_others(
    tmp_path: Path, settings: Settings
) -> None:
    tmp_path.joinpath("mine.ts").write_text("export {};\n")
    settings.ASGI_APPLICATION = SAMPLE
    run("--out", tmp_path)
    assert set(times(tmp_path)) == {"live.ts", "mine.ts", "projects.ts"}
    settings.ASGI_APPLICATION = OTHER
    assert f"Deleted {tmp_path / 'live.ts'}\n" in run("--out", tmp_path)
    assert set(times(tmp_path)) == {"mine.ts", "projects.ts"}


def test_files_that_were_not_generated_are_not_overwritten(tmp_path: Path) -> None:
    mine = tmp_path / "projects.ts"
    mine.write_text("export {};\n")
    with pytest.raises(CommandError, match=r"projects\.ts was not generated"):
        run("--out", tmp_path)
    assert mine.read_text() == "export {};\n"


def test_a_check_writes_nothing_and_prints_what_differs(tmp_path: Path) -> None:
    out = StringIO()
    run("--out", tmp_path)
    file = tmp_path / "projects.ts"
    text = file.read_text()
    assert run("--check", "--out", tmp_path) == ""
    file.write_text(text.replace("name: string", "name: number", 1))
    before = times(tmp_path)
    with pytest.raises(CommandError, match="run makefrontend"):
        call_command("makefrontend", "--check", "--out", tmp_path, stdout=out)
    assert "-  name: number;\n+  name: string;\n" in out.getvalue()
    assert times(tmp_path) == before


def test_files_are_overwritten_if_that_is_forced_and_none_is_listed_if_quiet(
    tmp_path: Path,
) -> None:
    mine = tmp_path / "projects.ts"
    mine.write_text("export {};\n")
    assert run("--out", tmp_path, "--force", "--quiet") == ""
    assert mine.read_text().startswith("// Generated")
    assert run("--out", tmp_path, "--dry-run") == ""


def test_runserver_writes_before_it_checks_and_serves(tmp_path: Path, settings: Settings) -> None:
    settings.COLLAB = {**settings.COLLAB, "LIVE_FRONTEND_DIR": tmp_path}
    # An error that keeps it from serving.
    settings.LANGUAGES = [("not a code", "No language")]
    arguments: Any = {"skip_checks": False, "stdout": StringIO()}
    for options, is_written in (((), False), (("--makefrontend",), True)):
        with pytest.raises(SystemCheckError, match="LANGUAGES"):
            call_command("runserver", "--noreload", *options, **arguments)
        assert (tmp_path / "projects.ts").exists() is is_written


# In a process of its own.

ASGI = """\
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application

http = get_asgi_application()

from django.urls import path
from mysite.live import ClockConsumer

application = ProtocolTypeRouter(
    {"http": http, "websocket": URLRouter([path("ws/clock", ClockConsumer.as_asgi())])}
)
"""
CLOCK = """\
from collab.live import LiveConsumer, action


class ClockConsumer(LiveConsumer):
    @action
    async def tell_time(self) -> str:
        return "noon"
"""
SETTINGS = """
INSTALLED_APPS = ["collab", "collab.mirror", "collab.live", "collab_storage", *INSTALLED_APPS]
ASGI_APPLICATION = "mysite.asgi.application"
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with one consumer."""
    project = Project(tmp_path)
    project.run("django-admin", "startproject", "mysite", ".")
    with tmp_path.joinpath("mysite", "settings.py").open("a") as file:
        file.write(SETTINGS)
    (tmp_path / "mysite" / "asgi.py").write_text(ASGI)
    (tmp_path / "mysite" / "live.py").write_text(CLOCK)
    return project


@pytest.fixture
def watcher(project: Project) -> Iterator[Path]:
    """The file that a process of the project keeps as its code is."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "makefrontend", "--watch"],
        cwd=project.directory,
        env=project.environment,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    yield project.directory / "channels" / "mysite.ts"
    os.killpg(process.pid, 15)
    process.wait()


def test_it_writes_again_when_code_changes(project: Project, watcher: Path) -> None:
    def has(text: str) -> bool:
        return watcher.exists() and text in watcher.read_text()

    poll_until(lambda: has("tellTime(): Promise<string>"))
    code = project.directory / "mysite" / "live.py"

    def has_seen_the_change() -> bool:
        # It may have looked at the file for the first time after an earlier change.
        code.write_text(CLOCK.replace("tell_time", "tell_date"))
        return has("tellDate(): Promise<string>") and not has("tellTime")

    poll_until(has_seen_the_change)


@pytest.fixture(params=["django.core", "django.contrib.staticfiles", "daphne"])
def serving(project: Project, request: pytest.FixtureRequest) -> Iterator[Path]:
    """The file that a runserver of the project has written, with the runserver of an app."""
    with (project.directory / "mysite" / "settings.py").open("a") as file:
        if request.param == "daphne":
            file.write('INSTALLED_APPS.append("daphne")\n')
        elif request.param == "django.core":
            file.write('INSTALLED_APPS.remove("django.contrib.staticfiles")\n')
    process = subprocess.Popen(
        [sys.executable, "manage.py", "runserver", "--makefrontend", "--noreload", "0"],
        cwd=project.directory,
        env=project.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    yield project.directory / "channels" / "mysite.ts"
    os.killpg(process.pid, 15)
    process.wait()


def test_runserver_writes_when_it_starts(serving: Path) -> None:
    poll_until(lambda: serving.exists() and "tellTime" in serving.read_text())


def test_its_exit_code_shows_differences(project: Project) -> None:
    command = [sys.executable, "manage.py", "makefrontend", "--check"]
    options: Any = {"cwd": project.directory, "env": project.environment, "text": True}
    result = subprocess.run(command, **options, capture_output=True)
    assert (result.returncode, result.stdout[:4]) == (1, "--- ")
    project.run(sys.executable, "manage.py", "makefrontend")
    assert subprocess.run(command, **options).returncode == 0
