"""``python -m bench NAME [options]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping

from . import (
    changes,
    compare,
    content,
    growth,
    keystrokes,
    plots,
    publish,
    report,
    rows,
    scale,
    trace,
    versions,
)

__all__ = ["main"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = parser.add_subparsers(dest="name", required=True)
    compare.add_arguments(commands.add_parser("compare", help="measure beside other servers"))
    report.add_arguments(commands.add_parser("report", help="show what was measured"))
    plots.add_arguments(commands.add_parser("plots", help="make plots of what was measured"))
    trace.add_arguments(commands.add_parser("trace", help="replay an editing trace and compare"))
    scale.add_arguments(commands.add_parser("scale", help="what several processes cost"))
    rows.add_arguments(commands.add_parser("rows", help="what it costs to tell of saved rows"))
    growth.add_arguments(commands.add_parser("growth", help="what documents of rows grow to"))
    content.add_arguments(commands.add_parser("content", help="read and write rich text"))
    changes.add_arguments(commands.add_parser("changes", help="what calling changed() costs"))
    keystrokes.add_arguments(commands.add_parser("keystrokes", help="type in an editor, and watch"))
    versions.add_arguments(commands.add_parser("versions", help="what versions cost"))
    publish.add_arguments(commands.add_parser("publish", help="what it costs to tell an event"))
    return parser


_COMMANDS: Mapping[str, Callable[[argparse.Namespace], int]] = {
    "compare": compare.run,
    "report": report.run,
    "plots": plots.run,
    "trace": trace.run,
    "scale": scale.run,
    "rows": rows.run,
    "growth": growth.run,
    "content": content.run,
    "changes": changes.run,
    "keystrokes": keystrokes.run,
    "publish": publish.run,
    "versions": versions.run,
}


def main() -> int:
    """Run what the command line asks for."""
    parser = _parser()
    arguments = parser.parse_args()
    try:
        return _COMMANDS[arguments.name](arguments)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
