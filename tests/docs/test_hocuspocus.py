"""The stock provider of Hocuspocus connects to the project that its page makes."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.serving import serve_command, served
from tests.harness.waiting import DEADLINE
from tests.samples import DOCS, ROOT, TUTORIAL, Project

TOKEN = """
from django.contrib.auth.models import User
from django.core.signing import TimestampSigner

print(TimestampSigner(salt="collab").sign(str(User.objects.get(username="ann").pk)))
"""


@pytest.mark.client
def test_the_stock_provider_connects_after_a_change_of_its_url(
    project_after: Callable[[Path], Project],
) -> None:
    project = project_after(DOCS / "from-hocuspocus.md")
    token = project.run_all(TOKEN).strip()
    with served(project, serve_command(TUTORIAL)) as address:
        result = subprocess.run(
            ["node", "--test", "--test-reporter=spec", "tests/js/from-hocuspocus.js"],
            cwd=ROOT,
            env={**os.environ, "PROJECT": json.dumps({"address": address, "token": token})},
            capture_output=True,
            text=True,
            timeout=10 * DEADLINE,
        )
    assert result.returncode == 0, result.stdout + result.stderr
