"""Syntax trees of Python sources."""

from __future__ import annotations

import ast
import gc

__all__ = ["parsed"]


def parsed(source: str) -> ast.Module:
    """Return the syntax tree of a source.

    Python 3.11 fails ("AST constructor recursion depth mismatch") if it collects garbage meanwhile
    and a finalizer parses something, as it does where the traceback of an error is formatted.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return ast.parse(source)
    finally:
        if was_enabled:
            gc.enable()
