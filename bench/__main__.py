"""``python -m bench [name] [options]``; without a name everything is run."""

from __future__ import annotations

import argparse
import sys

from . import trace

__all__ = ["main"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = parser.add_subparsers(dest="name")
    trace.add_arguments(commands.add_parser("trace", help=trace.__doc__))
    return parser


def main() -> int:
    """Run what the command line asks for."""
    arguments = _parser().parse_args()
    try:
        return trace.run(arguments)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
