"""The steps for django-tenants, followed to the letter in an empty project on PostgreSQL."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from pathlib import Path
from textwrap import dedent
from urllib.parse import urlencode

import pytest
from websockets.exceptions import InvalidStatus

from tests.docs.serving import client, log_in, served
from tests.harness.services import Postgres
from tests.harness.waiting import DEADLINE
from tests.samples import DOCS, Project, Sample, samples_in

#: The project before the steps, as django-tenants' own documentation has it.
SETTINGS = """
DATABASES = {{
    "default": {{
        "ENGINE": "django_tenants.postgresql_backend",
        "NAME": "tenants",
        "USER": "collab",
        "HOST": "{host}",
    }}
}}
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
MIDDLEWARE = ["django_tenants.middleware.main.TenantMainMiddleware", *MIDDLEWARE]
SHARED_APPS = ["django_tenants", "customers", "django.contrib.contenttypes"]
TENANT_APPS = [*INSTALLED_APPS, "notes"]
INSTALLED_APPS = SHARED_APPS + [app for app in TENANT_APPS if app not in SHARED_APPS]
TENANT_MODEL = "customers.Customer"
TENANT_DOMAIN_MODEL = "customers.Domain"
ALLOWED_HOSTS = ["localhost", "127.0.0.1"]
"""
FILES = {
    "customers/models.py": """
from django_tenants.models import DomainMixin, TenantMixin


class Customer(TenantMixin):
    auto_create_schema = True


class Domain(DomainMixin):
    pass
""",
    "notes/models.py": """
from django.conf import settings
from django.db import models


class Note(models.Model):
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
""",
}
#: Two customers, each with a superuser and a note of the same keys.
CUSTOMERS = """
from customers.models import Customer, Domain
from django.contrib.auth.models import User
from django_tenants.utils import tenant_context
from notes.models import Note
for name, host in (("one", "localhost"), ("two", "127.0.0.1")):
    customer = Customer.objects.create(schema_name=name)
    Domain.objects.create(tenant=customer, domain=host, is_primary=True)
    with tenant_context(customer):
        ann = User.objects.create_superuser("ann", "ann@example.com", "secret")
        Note.objects.create(owner=ann)
"""
STORED = """
from pycrdt import Text
from collab import documents
for info in documents.list_documents():
    print(info.name, documents.read(info.name).get("text", type=Text))
"""


def recipe() -> list[Sample]:
    """Return the samples of the steps, which are indented below their numbers."""
    page = (DOCS / "storage.md").read_text()
    section = page.split("### Tenants\n")[1].split("\n## ")[0]
    blocks = re.findall(r"^   ```.*?^   ```$", section, re.MULTILINE | re.DOTALL)
    return samples_in("\n".join(dedent(block) for block in blocks))


@pytest.fixture
def project(tmp_path: Path, postgres_cluster: Postgres) -> Project:
    postgres_cluster.create_database("tenants")
    project = Project(tmp_path)
    project.run("django-admin", "startproject", "mysite", ".")
    for app in ("customers", "notes"):
        project.run("python", "manage.py", "startapp", app)
    for path, code in FILES.items():
        (tmp_path / path).write_text(code)
    with (tmp_path / "mysite" / "settings.py").open("a") as settings:
        settings.write(SETTINGS.format(host=postgres_cluster.directory))
    return project


def follow(project: Project) -> None:
    for sample in recipe():
        project.write(sample)
    project.run("python", "manage.py", "makemigrations", "customers", "notes")
    project.run("python", "manage.py", "migrate_schemas", "--shared")
    project.run_all(["manage.py", "check"], CUSTOMERS)


async def test_tenants_have_documents_of_their_own(project: Project) -> None:
    follow(project)
    with served(project) as address:
        port = address.split(":")[1]
        hosts = {"one": f"localhost:{port}", "two": f"127.0.0.1:{port}"}
        cookies = {name: log_in(host) for name, host in hosts.items()}
        async with client(hosts["one"], cookies["one"], "one/notes/1") as one:
            await one.insert("of one")
            await one.hello()
            await one.wait_saved()
            async with client(hosts["two"], cookies["two"], "two/notes/1") as two:
                assert two.text == ""
                await two.insert("of two")
                await two.hello()
                await two.wait_saved()
            # The cookie of another tenant is nobody's here, and no host opens others' documents.
            for host, name in (("two", "two"), ("two", "one")):
                with pytest.raises(InvalidStatus):
                    await client(hosts[host], cookies["one"], f"{name}/notes/1").connect()
            with pytest.raises(InvalidStatus):
                await client(hosts["two"], cookies["two"], "one/notes/1").connect()
            assert one.text == "of one"
        pages = {name: ask(hosts[name], cookies[name], "/notes/1/") for name in hosts}
        # Both users have the same primary key. There is no file, which is seen after the user.
        images = [
            ask(hosts["two"], cookies["two"], "/collab/upload/", name=f"{name}/notes/1")
            for name in ("one", "two")
        ]
    assert project.run_all(STORED) == "one/notes/1 of one\ntwo/notes/1 of two\n"
    for name, (status, page) in pages.items():
        assert status == 200
        assert f'<collab-editor name="{name}/notes/1"' in page
    assert [status for status, _ in images] == [403, 400]


def ask(address: str, cookies: str, path: str, **form: str) -> tuple[int, str]:
    """Ask a page, or send it a form, and return its status and its text."""
    [token] = [part[10:] for part in cookies.split("; ") if part.startswith("csrftoken=")]
    request = urllib.request.Request(
        f"http://{address}{path}",
        urlencode(form).encode() if form else None,
        {"Cookie": cookies, "X-CSRFToken": token},
    )
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
