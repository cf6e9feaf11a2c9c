"""Messages of the relay, and the process that they come from."""

from __future__ import annotations

import subprocess
import sys

_FORK = """
import os
from collab.engine.relay.messages import order
if child := os.fork():
    os.waitpid(child, 0)
print(order("notes", "recheck")["from"], flush=True)
os._exit(0)
"""


def test_an_order_of_a_fork_does_not_seem_to_come_from_its_siblings() -> None:
    """As in the workers of ``gunicorn --preload``."""
    # In a process without threads, which a fork would lack.
    ran = subprocess.run([sys.executable, "-c", _FORK], capture_output=True, text=True, check=True)
    forked, parent = ran.stdout.split()
    assert forked != parent
