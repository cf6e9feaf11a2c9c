"""The hot path does the same whether its modules are compiled or not."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.harness.sources import parsed

ROOT = Path(__file__).parents[1]
SOURCE = (ROOT / "pyproject.toml").resolve().parent

HISTORIES = 400


def compiled_modules() -> list[str]:
    tree = parsed((ROOT / "hatch_build.py").read_text())
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "COMPILED":
            return list(ast.literal_eval(node.value))
    raise LookupError("COMPILED")


def source_of(module: str) -> Path:
    folder = SOURCE / "storage" if module.startswith("collab_storage") else SOURCE
    return folder / f"{module.replace('.', '/')}.py"


def classes(module: str) -> Iterator[ast.ClassDef]:
    for node in ast.walk(parsed(source_of(module).read_text())):
        if isinstance(node, ast.ClassDef):
            yield node


def test_each_module_that_is_compiled_exists_and_is_named_once() -> None:
    modules = compiled_modules()
    assert modules == sorted(set(modules))
    assert all(source_of(module).is_file() for module in modules)


@pytest.mark.parametrize("module", compiled_modules())
def test_no_exception_is_compiled(module: str) -> None:
    for node in classes(module):
        bases = [ast.unparse(base) for base in node.bases]
        assert not [base for base in bases if base.endswith(("Exception", "Error"))]


@pytest.mark.parametrize("module", compiled_modules())
def test_no_compiled_dataclass_has_slots_of_its_own(module: str) -> None:
    for node in classes(module):
        for decorator in node.decorator_list:
            assert "slots" not in ast.unparse(decorator)


def played(root: Path, *arguments: str, histories: Sequence[str] = ()) -> list[str]:
    """Return what becomes of random histories, or of these, in the project at ``root``."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.engine.sequences", *arguments],
        cwd=root,
        env={
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "PYTHONHASHSEED": "0",
            "PYTHONPATH": f"{root}:{root / 'storage'}",
        },
        input="\n".join(histories),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


@pytest.mark.compiled
def test_the_compiled_modules_do_what_the_interpreted_ones_do() -> None:
    expected = played(SOURCE, str(HISTORIES))
    found = played(ROOT, histories=expected[1:])
    assert (expected[0], found[0]) == ("compiled: False", "compiled: True")
    assert len(expected) > HISTORIES / 2
    assert found[1:] == expected[1:]


@pytest.mark.compiled
def test_the_wheel_for_this_platform_has_compiled_modules(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(tmp_path),
    ]
    environment = {**os.environ, "COLLAB_COMPILE": "1"}
    subprocess.run(command, cwd=SOURCE, env=environment, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert not wheel.name.endswith("none-any.whl")
    # pip refuses a wheel that is for another platform than its name says.
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*install, "--target", tmp_path / "site", wheel], check=True)
    code = "import collab, sys; sys.exit(not collab.__compiled__)"
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "site")},
        check=True,
    )
