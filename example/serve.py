"""Serve the example: ``python serve.py``; the environment variables HOST and PORT move it.

Production runs the same application under any ASGI server; see the project's README.
"""

from __future__ import annotations

import os
import socket

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

import django
import uvicorn
from django.core.management import call_command

WELCOME = """
  Writing together at  {address}

  1. Open it in two windows, the second one private (Ctrl+Shift+N), and log in
     as alice in one and as bob in the other: a click on the name is enough.
  2. Open the page "Welcome" in both, and type.
  3. Open the board "Garden party" in both, and move cards about. Change one in
     {address}admin/boards/task/ as well.
  4. Open the dashboard in both, send readings as it says there, and open one of
     the cards in it while somebody moves it about.
  5. Stop this server with Ctrl+C, go on in the windows, start it again: nothing
     is lost.
  6. "Share" gives a link for reading without an account.
"""


def prepare() -> None:
    """Bring the database up to date, and make the demo users and their first page."""
    django.setup()
    call_command("migrate", verbosity=0)
    call_command("demo")


def main() -> None:
    """Prepare and serve until a signal ends it."""
    host, port = os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "8000"))
    prepare()
    server = uvicorn.Server(
        uvicorn.Config(
            "project.asgi:application",
            ws="collab.sockets:WebSocketProtocol",
            # Updates are too small for compression to be worth its time and memory.
            ws_per_message_deflate=False,
            lifespan="off",
            log_level="warning",
            timeout_graceful_shutdown=10,
        )
    )
    # Bound before the address is told: whoever reads it can connect.
    with socket.create_server((host, port), backlog=1024, reuse_port=False) as listener:
        name, port = "localhost" if host == "127.0.0.1" else host, listener.getsockname()[1]
        print(WELCOME.format(address=f"http://{name}:{port}/"), flush=True)
        server.run(sockets=[listener])


if __name__ == "__main__":
    main()
