"""``python -m bench [name] [options]``; without a name everything is run."""

from __future__ import annotations

import argparse
import sys

from . import compare, growth, publish, rows, scale, trace

__all__ = ["main"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = parser.add_subparsers(dest="name")
    trace.add_arguments(commands.add_parser("trace", help="replay an editing trace and compare"))
    scale.add_arguments(commands.add_parser("scale", help="what several processes cost"))
    rows.add_arguments(commands.add_parser("rows", help="what it costs to tell of saved rows"))
    growth.add_arguments(commands.add_parser("growth", help="what documents of rows grow to"))
    publish.add_arguments(commands.add_parser("publish", help="what it costs to tell an event"))
    for name, what in (
        ("fanout", "what it costs to deliver updates"),
        ("joins", "what it costs to open a large document"),
        ("memory", "what members and rooms hold"),
        ("all", "all three of these"),
    ):
        compare.add_arguments(commands.add_parser(name, help=what))
    return parser


def _run(arguments: argparse.Namespace) -> int:
    others = {
        "trace": trace.run,
        "scale": scale.run,
        "rows": rows.run,
        "growth": growth.run,
        "publish": publish.run,
    }
    return others.get(arguments.name, compare.run)(arguments)


def _all(parser: argparse.ArgumentParser) -> int:
    """Replay the trace that is shipped, then measure every scenario."""
    return _run(parser.parse_args(["trace"])) or _run(parser.parse_args(["all"]))


def main() -> int:
    """Run what the command line asks for."""
    parser = _parser()
    arguments = parser.parse_args()
    try:
        return _run(arguments) if arguments.name else _all(parser)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
