"""Run uvicorn on a listening socket that was inherited: ``python -m tests.harness.serve FD``."""

import logging
import os
import socket
import sys
import warnings

import uvicorn

__all__ = ["main"]


def main(descriptor: int) -> None:
    """Serve the test project until a signal ends it."""
    # Django does not close a static file whose browser leaves before the response begins.
    warnings.filterwarnings("ignore", r"unclosed file .*/static/", ResourceWarning)
    level = os.environ.get("COLLAB_TEST_LOG_LEVEL", "INFO")
    logging.basicConfig(format="%(levelname)s %(name)s %(message)s", level=level)
    ping = float(os.environ.get("COLLAB_TEST_PING_INTERVAL", 20))
    config = uvicorn.Config(
        os.environ["COLLAB_TEST_APPLICATION"],
        http=os.environ.get("COLLAB_TEST_HTTP", "collab.sockets:HttpProtocol"),
        ws=os.environ.get("COLLAB_TEST_WS", "collab.sockets:WebSocketProtocol"),
        ws_max_size=64 * 1024 * 1024,
        ws_ping_interval=ping,
        ws_ping_timeout=ping,
        log_config=None,
        # Far beyond what a busy machine takes: uvicorn logs an error when this time is over.
        timeout_graceful_shutdown=60,
    )
    # uvicorn's own --fd takes any socket for a Unix one, which leaves Nagle's algorithm on.
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    main(int(sys.argv[1]))
