"""The packages: the wheel, the archive of the sources, and that the wheel works alone."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import collab

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def run(*command: object, cwd: Path) -> str:
    """Run ``command`` away from the settings of this process and return its output."""
    result = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        # The sources must not be found through the environment.
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(Path.home())},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the archive of the sources and the wheel that was built from it."""
    target = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", target, cwd=ROOT)
    return target


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (path,) = dist.glob("*.whl")
    return path


def shipped_files(package: Path) -> set[str]:
    """Return the files of ``package`` that git knows, relative to the folder it is in."""
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=package)
    return {f"{package.name}/{line}" for line in listed.splitlines()}


def built_files(folder: Path) -> set[str]:
    """Return the files in ``folder``, which git ignores, relative to the sources."""
    found = {str(path.relative_to(ROOT)) for path in folder.rglob("*") if path.is_file()}
    assert found, "run `make node-setup`"
    return found


def test_storage_folder_is_no_package() -> None:
    assert not (ROOT / "storage/__init__.py").exists()


def test_version_is_the_same_everywhere() -> None:
    assert collab.__version__ == PYPROJECT["project"]["version"]


def requirements() -> list[Requirement]:
    """Return all that setup may install."""
    project, groups = PYPROJECT["project"], PYPROJECT["dependency-groups"]
    given = [
        *PYPROJECT["build-system"]["requires"],
        *project["dependencies"],
        *(text for extra in project["optional-dependencies"].values() for text in extra),
        *(text for group in groups.values() for text in group if isinstance(text, str)),
    ]
    return [Requirement(text) for text in given]


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
def test_all_that_setup_installs_is_pinned_for_each_python(python: str) -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith("#")]
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    pinned = {
        canonicalize_name(pin.name): pin.specifier
        for pin in pins
        if pin.marker is None or pin.marker.evaluate(environment)
    }
    for requirement in requirements():
        (pin,) = pinned[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(pin.version), f"run `make lock`: {requirement}"


def test_lock_files_name_no_hosts() -> None:
    locks = [ROOT / "constraints.txt", *ROOT.glob("*/package-lock.json")]
    locks += ROOT.glob("tests/*/package-lock.json")
    assert len(locks) > 3
    for path in locks:
        text = path.read_text()
        # Addresses of sponsors have nothing to do with installing.
        sources = re.findall(r"index-url|https?://.*\.(?:tgz|whl|tar\.gz)", text)
        assert sources == [], path


@pytest.mark.wheel
def test_wheel_holds_the_two_packages_and_nothing_else(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == (
        shipped_files(ROOT / "collab")
        | shipped_files(ROOT / "storage/collab_storage")
        | built_files(ROOT / "collab/editor/static")
    )
    assert {"collab/py.typed", "collab_storage/py.typed"} <= names
    assert "collab_storage/migrations/0001_initial.py" in names


@pytest.mark.wheel
def test_links_of_the_package_page_are_absolute_and_lead_to_files(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        page = archive.read(name).decode().partition("\n\n")[2]
    links = re.findall(r"\]\(([^)]+)\)", page)
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    home = PYPROJECT["project"]["urls"]["Homepage"]
    raw = home.replace("https://github.com/", "https://raw.githubusercontent.com/")
    own = [link for link in links if link.startswith((home, raw))]
    paths = [link.removeprefix(f"{home}/blob/main/").removeprefix(f"{raw}/main/") for link in own]
    assert [path for path in paths if not (ROOT / path.partition("#")[0]).is_file()] == []
    assert {"docs/install.md", "docs/screenshot.png", "LICENSE"} <= set(paths)


@pytest.mark.wheel
def test_archive_of_the_sources_can_be_tested(dist: Path) -> None:
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"Makefile", "LICENSE", "README.md", "constraints.txt", "pyproject.toml"} <= names
    assert {"tests/settings.py", "storage/collab_storage/base.py", "collab/consumers.py"} <= names
    assert not any("node_modules" in name for name in names)


@pytest.mark.wheel
def test_wheel_works_away_from_the_sources(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    python = environment / "bin/python"
    run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=tmp_path)
    pip = (sys.executable, "-m", "pip", "--python", python)
    run(*pip, "install", "--constraint", ROOT / "constraints.txt", wheel, cwd=tmp_path)
    script = shutil.copy(ROOT / "tests/harness/smoke_project.py", tmp_path)
    output = run(python, script, tmp_path / "db.sqlite3", cwd=tmp_path)
    assert output.splitlines()[-1] == "rewritten; written by a client"
    where = run(python, "-c", "import collab; print(collab.__file__)", cwd=tmp_path)
    assert where.startswith(str(environment))
