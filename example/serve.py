"""Serve the example: ``python serve.py``; the environment variables HOST and PORT move it.

Production runs the same application under any ASGI server; see the project's README.
"""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress

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
     the cards in it while a user moves it about.
  5. "Admin" shows Django's admin with two users in one form.
  6. Stop this server with Ctrl+C, go on in the windows, start it again: nothing
     is lost.
  7. "Share" gives a link for reading without an account.
"""


def prepare() -> None:
    """Bring the database up to date, and make the demo users and their first page."""
    django.setup()
    call_command("migrate", verbosity=0)
    call_command("demo")


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens there; exit with one sentence if that is not possible."""
    try:
        return socket.create_server((host, port), backlog=1024, reuse_port=False)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        sys.exit(f"Cannot listen on {host}:{port}: {reason}. Try another port: PORT=8001 make run")


def serve(listener: socket.socket) -> None:
    """Serve until a signal ends it."""
    server = uvicorn.Server(
        uvicorn.Config(
            "project.asgi:application",
            http="collab.sockets:HttpProtocol",
            ws="collab.sockets:WebSocketProtocol",
            # Updates are too small for compression to be worth its time and memory.
            ws_per_message_deflate=False,
            lifespan="on",
            log_level="warning",
            timeout_graceful_shutdown=10,
        )
    )
    server.run(sockets=[listener])


def main() -> None:
    """Listen, prepare, print the address, and serve."""
    host, port = os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "8000"))
    # Before the address is printed, so that a reader of it can connect at once.
    with listen(host, port) as listener:
        prepare()
        name, port = "localhost" if host == "127.0.0.1" else host, listener.getsockname()[1]
        print(WELCOME.format(address=f"http://{name}:{port}/"), flush=True)
        serve(listener)


if __name__ == "__main__":
    # Depending on the Python version, it is raised once the server has shut down.
    with suppress(KeyboardInterrupt):
        main()
    print("\nStopped.")
