"""``startcollab`` makes a project that lacks nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from collab.management import starting
from tests.samples import ROOT


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{ROOT / 'storage'}")
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE")
    monkeypatch.chdir(tmp_path)


def test_a_project_is_made_in_one_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    starting.main(["wiki", "made/here"])
    assert "python manage.py collab_serve" in capsys.readouterr().out
    for arguments in (
        ["check", "--fail-level", "WARNING"],
        ["makemigrations", "--check", "--dry-run"],
        ["migrate", "--check"],
    ):
        command = [sys.executable, "-W", "error", "manage.py", *arguments]
        subprocess.run(command, cwd=tmp_path / "made" / "here", check=True)


def test_a_name_that_is_none_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        starting.main(["7up"])
    assert ended.value.code == 1
    assert "'7up' is not a valid project name" in capfd.readouterr().err
