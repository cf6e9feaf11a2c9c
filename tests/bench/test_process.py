"""The figures of the benchmark for processes are what they have used."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from bench.process import cpu_seconds, memory_bytes, process_tree, written_bytes

BUSY = "import time\nend = time.process_time() + {seconds}\nwhile time.process_time() < end: pass"


def test_time_of_processes_that_have_ended_counts() -> None:
    before = cpu_seconds(os.getpid())
    subprocess.run([sys.executable, "-c", BUSY.format(seconds=0.3)], check=True)
    # The kernel counts whole hundredths of a second, of four kinds of time.
    assert cpu_seconds(os.getpid()) - before >= 0.2


def test_process_that_has_ended_has_used_nothing_itself() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert cpu_seconds(process.pid) == 0


def test_children_and_their_children_are_of_a_process() -> None:
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    start = f"subprocess.run([sys.executable, '-c', {child!r}])"
    code = f"import subprocess, sys; print(flush=True); {start}"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        while len(process_tree(process.pid)) < 3:
            assert process.poll() is None
        assert memory_bytes(*process_tree(process.pid)) > memory_bytes(process.pid)
        process.communicate(b"\n")


def test_bytes_on_the_disk_are_counted(tmp_path: Path) -> None:
    before = written_bytes(os.getpid())
    with (tmp_path / "file").open("wb") as file:
        file.write(bytes(2**20))
        file.flush()
        os.fsync(file.fileno())
    assert written_bytes(os.getpid()) - before >= 2**20
