"""A reader who follows the documentation page by page gets what it promises."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.reader import CHECK, PATH, SCALING, Reader, exercise
from tests.docs.serving import client, log_in, serve_command, served
from tests.harness.services import Postgres, Redis
from tests.samples import DOCS, TUTORIAL, Project, samples

DEPLOYMENT = DOCS / "deployment.md"

#: The settings of the project on another database.
ON_POSTGRESQL = """
DATABASES = {{
    "default": {{
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "essays",
        "USER": "collab",
        "HOST": "{host}",
    }}
}}
"""


@pytest.mark.parametrize("page", PATH, ids=lambda page: page.stem)
def test_a_reader_can_follow(page: Path, reader: Reader) -> None:
    exercise(page, reader.project_after(page))


def test_the_first_project_lacks_nothing_but_a_shared_channel_layer(first_project: Project) -> None:
    with (first_project.directory / "mysite" / "settings.py").open("a") as file:
        file.write("DEBUG = False\n")
    said = first_project.run_all([*CHECK, "--deploy"])
    assert re.findall(r"collab\.[EW]\d+", said) == ["collab.W003"]


async def test_a_document_outlives_the_server(first_project: Project) -> None:
    with served(first_project, serve_command(TUTORIAL)) as address:
        async with client(address, log_in(address)) as ann:
            await ann.insert("Hello")
    with served(first_project, serve_command(TUTORIAL)) as address:
        async with client(address, log_in(address)) as ann:
            assert ann.text == "Hello"


def test_the_view_of_the_first_project_edits_the_document(first_project: Project) -> None:
    written = first_project.run_all(
        "from django.contrib.auth.models import User\n"
        "from django.test import RequestFactory\n"
        "from notes.views import sign\n"
        "request = RequestFactory().post('/')\n"
        "request.user = User.objects.get()\n"
        "print(sign(request, 'first').content.decode())\n"
    )
    assert written == "ann was here.\n\n"


def test_the_search_on_postgresql_finds_words_in_all_their_forms(
    project_after: Callable[[Path], Project], postgres_cluster: Postgres
) -> None:
    project = project_after(DOCS / "hooks.md")
    postgres_cluster.create_database("essays")
    with (project.directory / "mysite" / "settings.py").open("a") as file:
        file.write(ON_POSTGRESQL.format(host=postgres_cluster.directory))
    found = project.run_all(
        ["manage.py", "migrate", "--verbosity=0"],
        "from essays.models import Essay\n"
        "from essays.search import find_essays\n"
        "Essay.objects.create(title='Autumn', body='It no longer warms.')\n"
        "Essay.objects.create(title='Warm days', body='It is spring.')\n"
        "Essay.objects.create(title='Winter', body='Snow.')\n"
        "print([essay.title for essay in find_essays('warming')])\n",
    )
    assert found == "['Warm days', 'Autumn']\n"


def test_the_service_starts_the_server_as_the_page_does() -> None:
    unit = "".join(sample.code for sample in samples(DEPLOYMENT, "ini"))
    [start] = re.findall(r"^ExecStart=\S+/bin/(.+)$", unit, re.MULTILINE)
    # Pings are what they are by default; the page names them to explain them.
    command = re.sub(r" --ws-ping-\w+ 20", "", serve_command(DEPLOYMENT))
    assert start == command
    flags = re.findall(r"^\| `(--[\w-]+)", DEPLOYMENT.read_text(), re.MULTILINE)
    assert [flag for flag in flags if flag not in serve_command(DEPLOYMENT)] == []


async def test_the_server_for_production(last_project: Project) -> None:
    with served(last_project, serve_command(DEPLOYMENT)) as address:
        async with client(address, log_in(address)) as ann:
            await ann.insert("Hello")
            assert (await ann.hello())["durable"]
            await ann.wait_saved()


async def test_members_see_what_another_process_changes(
    first_project: Project, redis_server: Redis
) -> None:
    for sample in samples(SCALING, "python"):
        settings = first_project.write(sample)
        settings.write_text(
            settings.read_text().replace("redis://localhost:6379", redis_server.url)
        )
    text = first_project.directory / "first.txt"
    text.write_text("Hello from a file")
    with served(first_project) as address:
        async with client(address, log_in(address)) as ann:
            await ann.insert("Hello")
            await ann.hello()
            await ann.wait_saved()
            first_project.run_all(
                ["manage.py", "collab_import", "notes/first", str(text), "--replace"]
            )
            await ann.wait_until(lambda: ann.text == "Hello from a file")
