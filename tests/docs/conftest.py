"""Fixtures of the tests of the documentation."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.reader import PATH, Reader
from tests.samples import TUTORIAL, Project


@pytest.fixture(scope="session")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    return Reader(tmp_path_factory.mktemp("reader"))


@pytest.fixture
def project_after(reader: Reader, tmp_path: Path) -> Callable[[Path], Project]:
    """Returns the project as it is after a page, for the test alone."""

    def copy(page: Path) -> Project:
        project = reader.project_after(page)
        return Project(shutil.copytree(project.directory, tmp_path / "project"))

    return copy


@pytest.fixture
def first_project(project_after: Callable[[Path], Project]) -> Project:
    """The project as it is after the first tutorial."""
    return project_after(TUTORIAL)


@pytest.fixture
def last_project(project_after: Callable[[Path], Project]) -> Project:
    """The project as it is after all pages."""
    return project_after(PATH[-1])
