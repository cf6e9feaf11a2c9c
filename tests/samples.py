"""The code samples of the documentation, and projects that are made by following them."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.harness.sources import parsed

__all__ = [
    "DOCS",
    "PAGES",
    "README",
    "ROOT",
    "TUTORIAL",
    "Project",
    "Sample",
    "samples",
    "samples_in",
]

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
TUTORIAL = DOCS / "tutorial.md"


def _pages() -> list[Path]:
    """Return the README, which the first tutorial continues, and the pages in the index's order."""
    lists = re.findall(r"^```{toctree}\n(.+?)^```$", (DOCS / "index.md").read_text(), re.M | re.S)
    names = re.findall(r"^\w[\w/-]*$", "".join(lists), re.MULTILINE)
    assert (names[0], names.count("api/index")) == ("tutorial", 1)
    return [README, *(DOCS / f"{name}.md" for name in names if name != "api/index")]


PAGES = _pages()

BLOCK = re.compile(r"^```(?P<language>[^\n]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
#: The first line of a sample names its file, and says how a reader edits it if it exists already:
#: adds the sample at the end, changes the definitions of the same names, or replaces the file.
FILE = re.compile(
    r"(?:#|//|<!--) (?P<path>[\w./-]+\.\w+)(?:: (?P<how>add|change|replace))?(?: -->)?\n"
)

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
    def how(self) -> str | None:
        """The way in which the file is edited; ``None`` if it is a new file."""
        match = FILE.match(self.code)
        return match["how"] if match else None

    @property
    def lines(self) -> list[str]:
        return self.code.splitlines()


def samples(page: Path, *languages: str) -> list[Sample]:
    """Return the samples in a page, of some languages only if any are named."""
    return samples_in(page.read_text("utf-8"), *languages)


def samples_in(text: str, *languages: str) -> list[Sample]:
    """Return the samples in a part of a page; see :func:`samples`."""
    # Sphinx' directives have braces.
    found = [
        Sample(block["language"], block["code"])
        for block in BLOCK.finditer(text)
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
        """Write a sample that is a file, as a reader would.

        Raises:
            AssertionError: a file exists that the sample does not say it edits.
        """
        assert sample.file
        path = self.directory / sample.file
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_text() if path.exists() else ""
        match sample.how:
            case "add":
                path.write_text(before + sample.code)
            case "change":
                path.write_text(_changed(before, sample.code))
            case "replace":
                assert before, f"{sample.file} does not exist."
                path.write_text(sample.code)
            case None:
                assert not _has_content(path), f"{sample.file} exists already."
                path.write_text(sample.code)
        return path


def _has_content(path: Path) -> bool:
    """Return whether a file is there, and more than what ``startapp`` makes."""
    if not path.exists():
        return False
    if path.suffix != ".py":
        return True
    body = parsed(path.read_text()).body
    return not all(isinstance(statement, ast.Import | ast.ImportFrom) for statement in body)


def _changed(source: str, sample: str) -> str:
    """Return ``source`` with the definitions in ``sample`` in the places of those before."""
    lines = source.splitlines(keepends=True)
    imports = []
    for statement in parsed(sample).body:
        code = _code_of(statement, sample)
        if isinstance(statement, ast.Import | ast.ImportFrom):
            imports.append(code)
            continue
        module = parsed("".join(lines))
        old = next((each for each in module.body if _names(each) & _names(statement)), None)
        if old is None:
            lines.append(code)
        else:
            lines[_first_line(old) - 1 : old.end_lineno] = [code]
    return "".join([*imports, *lines])


def _names(statement: ast.stmt) -> set[str]:
    """Return the names that a statement of a module defines."""
    if isinstance(statement, ast.Assign):
        return {target.id for target in statement.targets if isinstance(target, ast.Name)}
    return {name} if (name := getattr(statement, "name", None)) else set()


def _first_line(statement: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min(statement.lineno, *(each.lineno for each in decorators), statement.lineno)


def _code_of(statement: ast.stmt, source: str) -> str:
    lines = source.splitlines(keepends=True)
    return "".join(lines[_first_line(statement) - 1 : statement.end_lineno])
