"""The code samples of the documentation, and projects that are made by following them."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

__all__ = ["PAGES", "ROOT", "Project", "Sample", "samples"]

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

BLOCK = re.compile(r"^```(?P<language>[^\n]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
#: The first line of a sample says which file it is, or is to be added to.
FILE = re.compile(r"(?:#|//|<!--) (?P<path>[\w./-]+\.\w+)(?P<added>: add)?(?: -->)?\n")

#: Runs what is on standard input in the project, in one process, as starting one takes a while:
#: samples, in which ``await`` is allowed as in an async shell, and command lines of manage.py.
RUN = """\
import ast, asyncio, inspect, json, sys
from django.core.management import execute_from_command_line
import django
django.setup()
for step in json.load(sys.stdin):
    if isinstance(step, list):
        execute_from_command_line(step)
        continue
    code = compile(step, "sample", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(code, {"__name__": "sample"})
    if inspect.iscoroutine(result):
        asyncio.run(result)
"""


@dataclass(frozen=True)
class Sample:
    """A block of code in a page."""

    language: str
    code: str

    @property
    def file(self) -> str | None:
        """The path of the file in the project, if it is one."""
        match = FILE.match(self.code)
        return match["path"] if match else None

    @property
    def is_addition(self) -> bool:
        """It belongs at the end of a file that is there."""
        match = FILE.match(self.code)
        return match is not None and match["added"] is not None

    @property
    def lines(self) -> list[str]:
        return self.code.splitlines()


def samples(page: Path, *languages: str) -> list[Sample]:
    """Return the samples in a page, of some languages only if any are named."""
    blocks = BLOCK.finditer(page.read_text("utf-8"))
    # Sphinx' directives have braces.
    found = [
        Sample(block["language"], block["code"])
        for block in blocks
        if not block["language"].startswith("{")
    ]
    return [sample for sample in found if not languages or sample.language in languages]


class Project:
    """A Django project in a directory, apart from the one of the tests."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @property
    def environment(self) -> dict[str, str]:
        """The environment of somebody who works in the project."""
        inherited = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith("COLLAB_TEST_") and key != "WEB_CONCURRENCY"
        }
        return {
            **inherited,
            "DJANGO_SETTINGS_MODULE": "mysite.settings",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": f"{self.directory}{os.pathsep}{ROOT}{os.pathsep}{ROOT / 'storage'}",
            "DJANGO_SUPERUSER_USERNAME": "ann",
            "DJANGO_SUPERUSER_PASSWORD": "secret",
            "DJANGO_SUPERUSER_EMAIL": "ann@example.com",
        }

    def run(self, *command: str, stdin: str = "") -> str:
        """Run a command in the project and return what it prints.

        Raises:
            AssertionError: it fails.
        """
        result = subprocess.run(
            command,
            cwd=self.directory,
            env=self.environment,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert result.returncode == 0, f"{shlex.join(command)}\n{result.stdout}"
        return result.stdout

    def run_all(self, *steps: str | list[str]) -> str:
        """Run Python code and command lines of ``manage.py`` in turn; return what they print."""
        return self.run(sys.executable, "-W", "error", "-c", RUN, stdin=json.dumps(steps))

    def write(self, sample: Sample) -> Path:
        """Write a sample that is a file."""
        assert sample.file
        path = self.directory / sample.file
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_text() if sample.is_addition else ""
        path.write_text(before + sample.code)
        return path

    def forget_settings(self) -> None:
        """Go back to the settings of a new project."""
        with TemporaryDirectory() as directory:
            new = Project(Path(directory))
            new.run("django-admin", "startproject", "mysite", ".")
            settings = Path("mysite", "settings.py")
            shutil.copy(new.directory / settings, self.directory / settings)
