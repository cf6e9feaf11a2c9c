"""``make run`` in a terminal: its end and its failures are a sentence each."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

from .site import EXAMPLE, Site


def test_ctrl_c_ends_the_example_without_a_traceback(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.start()
    # It handles signals from its first answer on.
    urlopen(f"http://127.0.0.1:{site.port}/").close()
    assert site.interrupt() == 0
    assert site.log.splitlines()[-1] == "Stopped."
    site.close()


def test_a_busy_port_is_named_in_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        result = subprocess.run(
            [sys.executable, "serve.py"],
            cwd=EXAMPLE,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "project.settings", "PORT": port},
            capture_output=True,
            text=True,
        )
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr == (
        f"Cannot listen on 127.0.0.1:{port}: Address already in use."
        " Try another port: PORT=8001 make run\n"
    )
