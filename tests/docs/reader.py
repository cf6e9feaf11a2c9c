"""A reader who follows the documentation to the letter, page by page, in one project."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
import tomllib
from pathlib import Path

import pytest

from collab.conf import Settings
from tests.samples import PAGES, ROOT, Project, Sample, samples

__all__ = ["CHECK", "PATH", "SCALING", "Reader", "exercise"]

CHECK = ["manage.py", "check", "--tag", "collab"]
SOUND = [*CHECK, "--fail-level", "WARNING"]
UNCHANGED = ["manage.py", "makemigrations", "--check", "--dry-run"]

SCALING = ROOT / "docs" / "scaling.md"
#: Every page but the one whose settings need a Redis from then on; a test follows it by itself.
PATH = [page for page in PAGES if page != SCALING]

EXERCISES = Path(__file__).parent


class Reader:
    """Follows the pages in their order; nothing is reset in between.

    Args:
        directory: an empty directory, in which there will be a copy of the project as it is after
            each page.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._project = Project(directory / "project")
        self._project.directory.mkdir()
        self._steps: list[str | list[str]] = []
        self._read: list[Path] = []
        self._stuck_on: Path | None = None

    def project_after(self, page: Path) -> Project:
        """Follow the pages up to this one, and return a project that nobody changes any more."""
        while page not in self._read:
            assert not self._stuck_on, f"The reader is stuck on {self._stuck_on.name}."
            self._stuck_on = PATH[len(self._read)]
            self._follow(self._stuck_on)
            self._stuck_on = None
        return Project(self._directory / page.stem)

    def _follow(self, page: Path) -> None:
        for sample in samples(page):
            self._do(sample)
        self._run_steps()
        self._project.run_all(UNCHANGED, SOUND)
        self._read.append(page)
        shutil.copytree(self._project.directory, self._directory / page.stem)

    def _do(self, sample: Sample) -> None:
        if sample.file:
            self._run_steps()
            self._project.write(sample)
        elif sample.language == "python":
            self._steps.append(sample.code)
        elif sample.language == "sh":
            for line in sample.lines:
                self._type(line)

    def _type(self, line: str) -> None:
        """Run a line of a shell, or check what cannot be run here."""
        match shlex.split(line):
            case ["python", "manage.py", "createsuperuser"]:
                self._steps.append(["manage.py", "createsuperuser", "--noinput"])
            case ["python", "manage.py", "startapp" | "test" as name, *arguments]:
                self._run_steps()
                self._project.run(sys.executable, "manage.py", name, *arguments)
            case ["python", "manage.py", "collab_serve", *_]:
                pass  # The tests that serve the project run it.
            case ["python", "-m", "pytest"]:
                pass  # exercise() runs the tests of the page.
            case ["python", *arguments]:
                self._steps.append(arguments)
            case ["django-admin", *_] as command:
                self._project.run(*command)
            case ["pip", *arguments] | ["COLLAB_COMPILE=1", "pip", *arguments]:
                check_pip(arguments)
            case ["npm", "install", *names]:
                check_npm(names)
            case ["npx", "esbuild", script, *_]:
                # The tests with a browser run it.
                assert (self._project.directory / script).exists()
            case ["make", target] | ["make", "-C", "../django-collab", target]:
                makefile = (ROOT / "Makefile").read_text()
                assert re.search(rf"^{target}:", makefile, re.MULTILINE), line
            case ["uvicorn", *arguments]:
                check_uvicorn(arguments, self._project)
            case _:
                pytest.fail(f"How is this to be tested? {line}")

    def _run_steps(self) -> None:
        """Run what has been typed since a file was last edited, in one process."""
        steps, self._steps = self._steps, []
        if steps:
            self._project.run_all(*steps)


def check_pip(arguments: list[str]) -> None:
    """Fail if something else is installed than this project, with extras that it has."""
    match arguments:
        case ["install", requirement]:
            metadata = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
            name, _, extras = requirement.rstrip("]").partition("[")
            assert name == metadata["name"]
            assert set(extras.split(",")) <= {"", *metadata["optional-dependencies"]}
        case ["install", "pytest", "pytest-django", "pytest-asyncio"]:
            pass
        case ["wheel", "--no-deps", "--wheel-dir", "wheels", "../django-collab"]:
            pass  # The tests of the packages build the wheel.
        case ["config", "--site", "set", "install.find-links", "$PWD/wheels"]:
            pass
        case _:
            pytest.fail(f"How is this to be tested? pip {shlex.join(arguments)}")


def check_npm(names: list[str]) -> None:
    """Fail if a package is not among those that are known to exist, and to fit together."""
    locked = json.loads((ROOT / "example" / "package-lock.json").read_text())["packages"]
    for name in names:
        if name == "--install-links":
            continue  # Not a symbolic link, with which there would be two copies of Yjs.
        if name.startswith("../django-collab/"):
            assert (ROOT / name.removeprefix("../django-collab/") / "package.json").exists()
        else:
            assert f"node_modules/{name}" in locked


def check_uvicorn(arguments: list[str], project: Project) -> None:
    """Fail if uvicorn does not take these arguments."""
    assert arguments[0] == "mysite.asgi:application"
    options = [argument for argument in arguments if argument.startswith("--")]
    known = project.run("uvicorn", "--help").split()
    assert [option for option in options if option not in known] == []
    if "--ws-max-size" in options:
        size = arguments[arguments.index("--ws-max-size") + 1]
        assert int(size) == Settings().MAX_DOCUMENT_SIZE + 1024


def exercise(page: Path, project: Project) -> None:
    """Run the tests among the samples of a page, and those that this folder has for it."""
    files = [project.directory / sample.file for sample in samples(page, "python") if sample.file]
    tests = [path for path in files if path.name.startswith("test")]
    if any("TestCase" in path.read_text() for path in tests):
        project.run(sys.executable, "-W", "error", "manage.py", "test")
    modules = [path for path in tests if "import pytest" in path.read_text()]
    program = EXERCISES / f"exercise_{page.stem.lower().replace('-', '_')}.py"
    if program.exists():
        modules.append(project.directory / "notes" / f"test_{program.name}")
        shutil.copy(program, modules[-1])
    if modules:
        # A configuration of its own, lest pytest looks for one further up.
        (project.directory / "pytest.ini").write_text(
            "[pytest]\n"
            "filterwarnings =\n    error\n    ignore:unclosed database:ResourceWarning\n"
            "asyncio_default_fixture_loop_scope = function\n"
        )
        project.run(sys.executable, "-m", "pytest", "-q", *map(str, modules))
