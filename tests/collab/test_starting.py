"""``startcollab`` makes a project that lacks nothing, and adds an app to one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from collab.management import starting
from tests.samples import ROOT


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{ROOT / 'storage'}")
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE")
    monkeypatch.chdir(tmp_path)


def test_a_project_is_made_in_one_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of another project, in which the shell was before.
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "elsewhere.settings")
    starting.main(["wiki", "made/here"])
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE")
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


def test_an_app_is_added_to_a_project(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("startcollab", "jottings")
    assert 'INSTALLED_APPS += ["jottings"]' in capsys.readouterr().out
    models = (tmp_path / "jottings" / "models.py").read_text()
    assert "body = CollaborativeTextField()" in models
    assert "CollaborativeAdmin" in (tmp_path / "jottings" / "admin.py").read_text()
    assert (tmp_path / "jottings" / "migrations" / "__init__.py").exists()


def test_the_command_names_the_apps_that_the_project_lacks(
    tmp_path: Path, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.INSTALLED_APPS = ["collab"]
    (tmp_path / "here").mkdir()
    call_command("startcollab", "jottings", "here")
    added = 'INSTALLED_APPS += ["collab.editor", "collab_storage", "jottings"]'
    assert added in capsys.readouterr().out
    assert (tmp_path / "here" / "models.py").exists()


def test_a_name_that_no_app_can_have_is_refused_by_the_command(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="'7up' is not a valid app name"):
        call_command("startcollab", "7up")
    assert list(tmp_path.iterdir()) == []
