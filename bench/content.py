"""CPU of reading and writing rich text, beside Hocuspocus' transformer and BlockNote's server-util.

Both sides convert the same document in turns, each in one process: the JavaScript libraries are
those of ``tests/editors``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

from pycrdt import Doc

from collab import content

__all__ = ["add_arguments", "run"]

_EDITORS = Path(__file__).parents[1] / "tests" / "editors"
_PEERS = {"hocuspocus": content.TIPTAP, "blocknote": content.BLOCKNOTE}
_PARAGRAPH = "The quick brown fox **jumps** over the *lazy* dog, and a [link](https://example.org)."
_PART = f"## Part\n\n{_PARAGRAPH}\n\n- one\n- two\n- [ ] three\n\n> A quote\n\n"
#: Blocks at the top of one part.
_BLOCKS = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this measurement."""
    parser.add_argument("--blocks", type=int, default=2_000, help="blocks of the document")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured")


def run(arguments: argparse.Namespace) -> int:
    """Measure, and print seconds of CPU as a table."""
    values = {name: _value(schema, arguments.blocks) for name, schema in _PEERS.items()}
    question = {
        "rounds": arguments.rounds,
        "tiptap": values["hocuspocus"],
        "blocknote": values["blocknote"],
    }
    answer = subprocess.run(
        ["node", "timings.js"],
        cwd=_EDITORS,
        input=json.dumps(question),
        capture_output=True,
        check=True,
        text=True,
    )
    theirs: dict[str, dict[str, float]] = json.loads(answer.stdout)
    print("| peer | conversion | peer, s | collab, s | ratio |\n|---|---|--:|--:|--:|")
    for name, schema in _PEERS.items():
        ours = _measured(values[name], schema, arguments.rounds)
        for conversion, seconds in theirs[name].items():
            own = ours[conversion]
            print(f"| {name} | {conversion} | {seconds:.3f} | {own:.3f} | {seconds / own:.1f} |")
    return 0


def _value(schema: content.Schema, blocks: int) -> Any:
    doc: Doc[Any] = Doc()
    content.from_markdown(doc, None, _PART * (blocks // _BLOCKS), schema)
    return content.to_json(doc, schema=schema)


def _measured(value: Any, schema: content.Schema, rounds: int) -> Mapping[str, float]:
    def written() -> Doc[Any]:
        doc: Doc[Any] = Doc()
        content.from_json(doc, None, value, schema)
        return doc

    update = written().get_update()

    def read(convert: Callable[..., object]) -> Callable[[], object]:
        def work() -> object:
            doc: Doc[Any] = Doc()
            doc.apply_update(update)
            return convert(doc, schema=schema)

        return work

    return {
        "write": _timed(lambda: written().get_update(), rounds),
        "json": _timed(read(content.to_json), rounds),
        "html": _timed(read(content.to_html), rounds),
        "markdown": _timed(read(content.to_markdown), rounds),
    }


def _timed(work: Callable[[], object], rounds: int) -> float:
    """Return the median of the seconds of CPU that work takes."""
    times: list[float] = []
    for _ in range(rounds):
        start = process_time()
        work()
        times.append(process_time() - start)
    return median(times)
