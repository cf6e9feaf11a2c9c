"""Serve a project with the commands of the documentation, and visit it."""

from __future__ import annotations

import http.cookiejar
import shlex
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

from tests.harness.client import YjsClient
from tests.harness.waiting import DEADLINE
from tests.samples import Project, samples

__all__ = ["client", "log_in", "served", "uvicorn_command"]


@contextmanager
def served(project: Project, command: str = "uvicorn mysite.asgi:application") -> Iterator[str]:
    """Serve the project with a command of the documentation; yield its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # What is served where is not what the sample is about.
        process = subprocess.Popen(
            [*shlex.split(command), f"--fd={listener.fileno()}"],
            cwd=project.directory,
            env=project.environment,
            pass_fds=[listener.fileno()],
        )
        try:
            yield f"localhost:{listener.getsockname()[1]}"
        finally:
            process.terminate()
            process.wait(DEADLINE)


def log_in(address: str) -> str:
    """Log in to the admin as the superuser, and return the cookies."""
    jar = http.cookiejar.CookieJar()
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    login = f"http://{address}/admin/login/"
    opener.open(login, timeout=DEADLINE).close()
    tokens = {cookie.name: cookie.value for cookie in jar}
    form = {
        "username": "ann",
        "password": "secret",
        "csrfmiddlewaretoken": tokens["csrftoken"],
        "next": "/admin/",
    }
    opener.open(login, urlencode(form).encode(), timeout=DEADLINE).close()
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in jar)


def uvicorn_command(page: Path) -> str:
    """Return the command of a page that serves the project."""
    [command] = [
        line
        for sample in samples(page, "sh")
        for line in sample.lines
        if line.startswith("uvicorn")
    ]
    return command


def client(address: str, cookies: str) -> YjsClient:
    """Return a client of the document "first", as a page of the site would have it."""
    headers = {"Cookie": cookies, "Origin": f"http://{address}"}
    return YjsClient(f"ws://{address}/ws/first", headers=headers)
