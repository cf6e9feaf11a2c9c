"""A project that only passes updates on pays for nothing of content."""

from __future__ import annotations

import json
import subprocess
import sys

#: A project with stock consumers, which has started, was checked, and has a member in a room.
PROGRAM = """
import asyncio, json, sys
from django.conf import settings
import collab
alone = sorted(name for name in sys.modules if name.startswith(("collab.", "pycrdt", "channels")))
settings.configure(
    COLLAB={"STORAGE": {"BACKEND": "collab_storage.memory.MemoryStorage"}},
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=["collab", "collab_storage", "django.contrib.contenttypes"],
    SECRET_KEY="test",
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
)
import django
django.setup()
from tests.harness.communicator import Communicator
from django.core.management import call_command
from collab import documents
from collab.access import Access
from collab.consumers import YjsConsumer

class Consumer(YjsConsumer):
    def make_room_name(self):
        return "room"

    async def authorize(self):
        return Access.WRITE

async def visit():
    member = Communicator(Consumer.as_asgi(), "/ws/room")
    connected, _ = await member.connect()
    assert connected and await member.receive_from()
    await member.disconnect()

call_command("check")
asyncio.run(visit())
with documents.edit("other") as doc:
    pass
print(json.dumps([alone, sorted(sys.modules)]))
"""


def test_a_project_with_stock_consumers_imports_nothing_of_content() -> None:
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    alone, modules = json.loads(result.stdout.splitlines()[-1])
    assert alone == []
    assert "collab.consumers" in modules
    optional = ("collab.content", "markdown_it", "nh3", "prosemirror")
    assert [name for name in modules if name.startswith(optional)] == []
