"""The processes behind nginx, as the page on scaling has them."""

from __future__ import annotations

import asyncio
import http.client
import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.harness.client import YjsClient
from tests.harness.fixtures import StartServer
from tests.harness.server import ROOT, Server
from tests.harness.services import Redis, Service
from tests.harness.waiting import DEADLINE
from tests.samples import samples

from .test_door import metrics

#: Where Debian has programs that are not for everybody.
PLACES = os.pathsep.join([os.environ["PATH"], "/usr/sbin"])


class Nginx(Service):
    """nginx with the configuration of the page, in front of some servers."""

    def __init__(self, directory: Path, servers: list[Server]) -> None:
        super().__init__(directory)
        # Bound but not listening, so that nobody else gets it.
        self._reservation = socket.socket()
        self._reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._reservation.bind(("127.0.0.1", 0))
        self.port: int = self._reservation.getsockname()[1]
        (directory / "nginx.conf").write_text(self._configuration(servers))

    def _configuration(self, servers: list[Server]) -> str:
        [sample] = samples(ROOT / "docs" / "scaling.md", "nginx")
        ports = sorted(set(re.findall(r"127\.0\.0\.1:(\d+)", sample.code)))
        code = sample.code
        for number, port in enumerate(ports):
            code = code.replace(f":{port}", f":{servers[number % len(servers)].port}")
        here = {
            "user www-data;": "daemon off; error_log stderr;",
            "/run/nginx.pid": str(self.directory / "nginx.pid"),
            "/etc/nginx/mime.types": str(self._empty_file()),
            "listen 443 ssl": f"listen 127.0.0.1:{self.port} reuseport",
            "http {": "http {\n" + "".join(self._temporary_places()),
        }
        for there, instead in here.items():
            assert there in code
            code = code.replace(there, instead)
        return re.sub(r"^\s+ssl_certificate.*\n", "", code, flags=re.MULTILINE)

    def _empty_file(self) -> Path:
        path = self.directory / "mime.types"
        path.touch()
        return path

    def _temporary_places(self) -> Iterator[str]:
        for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"):
            yield f"{what}_temp_path {self.directory / what};\n"

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def status(self, path: str) -> int:
        """Return the status of a page."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        connection.request("GET", path)
        status = connection.getresponse().status
        connection.close()
        return status

    def _command(self) -> list[str]:
        program = shutil.which("nginx", path=PLACES)
        assert program, "nginx is not installed: run `make services-setup`"
        return [program, "-p", str(self.directory), "-c", "nginx.conf", "-e", "stderr"]

    def _ready(self) -> bool:
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0

    def close(self) -> None:
        """End it for good."""
        self.stop()
        self._reservation.close()


@pytest.fixture
def start_nginx(tmp_path: Path) -> Iterator[Callable[[list[Server]], Nginx]]:
    """Start nginx in front of servers."""
    started: list[Nginx] = []

    def start(servers: list[Server]) -> Nginx:
        directory = tmp_path / "nginx"
        directory.mkdir()
        started.append(Nginx(directory, servers))
        started[-1].start()
        return started[-1]

    yield start
    for nginx in started:
        nginx.close()


def test_each_process_is_started_as_the_page_on_deployment_does() -> None:
    units = [
        "".join(sample.code for sample in samples(ROOT / "docs" / page, "ini"))
        for page in ("deployment.md", "scaling.md")
    ]
    [one], [several] = (re.findall(r"^ExecStart=(.+)$", unit, re.MULTILINE) for unit in units)
    assert several == one.replace("--port 8000", "--port %i")


async def members_of(servers: list[Server]) -> list[float]:
    return sorted([(await metrics(server))["collab_members",] for server in servers])


async def test_members_of_a_document_meet_in_one_process_and_go_on_when_it_ends(
    start_server: StartServer,
    redis_server: Redis,
    start_nginx: Callable[[list[Server]], Nginx],
) -> None:
    servers = [start_server(redis=redis_server.url) for _ in range(2)]
    nginx = start_nginx(servers)
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(
                YjsClient(f"{nginx.url}/ws/room", subprotocols=["collab"])
            )
            for _ in range(3)
        ]
        await clients[0].insert("Hello")
        for client in clients:
            await client.wait_until(lambda: client.text == "Hello")  # noqa: B023
        assert await members_of(servers) == [0, 3]
        counts = [(await metrics(server))["collab_members",] for server in servers]
        await asyncio.to_thread(servers[counts.index(3)].terminate)
        for client in clients:
            assert await client.wait_closed() == 1012
            await client.connect()
        await clients[1].insert("Hello again, ", 0)
        for client in clients:
            await client.wait_until(lambda: client.text == "Hello again, Hello")  # noqa: B023
        assert await members_of([servers[counts.index(0)]]) == [3]
    assert await asyncio.to_thread(nginx.status, "/ops/metrics") == 404


async def test_a_client_cannot_forge_the_address_that_its_connections_are_counted_by(
    start_server: StartServer, start_nginx: Callable[[list[Server]], Nginx]
) -> None:
    collab = {"TRUSTED_PROXIES": 1, "MAX_ADDRESS_CONNECTIONS": 1}
    nginx = start_nginx([start_server(collab=collab)])
    first, second = [
        YjsClient(
            f"{nginx.url}/ws/room",
            headers={"X-Forwarded-For": f"192.0.2.{number}"},
            subprotocols=["collab"],
        )
        for number in (1, 2)
    ]
    async with first:
        await first.insert("Hello")
        await second.connect()
        await second.wait_closed()
        assert second.close_code == 1013
