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
from tests.harness.ports import ReservedPort
from tests.harness.waiting import DEADLINE, poll_until
from tests.samples import Project, samples

__all__ = ["client", "log_in", "serve_command", "served"]


@contextmanager
def served(project: Project, command: str = "python manage.py collab_serve") -> Iterator[str]:
    """Serve the project with a command of the documentation; yield its address."""
    with ReservedPort() as port:
        where = f" --port {port}" if command.startswith("uvicorn") else f" {port}"
        process = subprocess.Popen(
            # Where it is served is not what the sample is about.
            shlex.split(command.replace(" --port 8000", "") + where),
            cwd=project.directory,
            env=project.environment,
        )
        try:
            poll_until(lambda: process.poll() is not None or listens(port))
            yield f"localhost:{port}"
        finally:
            process.terminate()
            process.wait(DEADLINE)


def listens(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


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


def serve_command(page: Path) -> str:
    """Return the command of a page that serves the project."""
    [command] = [
        line
        for sample in samples(page, "sh")
        for line in sample.lines
        if line.startswith(("uvicorn", "python manage.py collab_serve"))
    ]
    return command


def client(address: str, cookies: str, document: str = "notes/first") -> YjsClient:
    """Return a client of a document, as a page of the site would have it."""
    headers = {"Cookie": cookies, "Origin": f"http://{address}"}
    return YjsClient(f"ws://{address}/ws/{document}", headers=headers)
