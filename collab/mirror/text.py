"""Changing a Text as a row's text has changed, with the fewest edits.

Who types in it keeps the cursor, and what was typed meanwhile stays.
"""

from __future__ import annotations

from bisect import bisect_right
from difflib import SequenceMatcher

from pycrdt import Text

__all__ = ["write_text"]

#: Of a text: from where to where it is replaced, and by what.
Edit = tuple[int, int, str]


def write_text(text: Text, before: str, now: str) -> None:
    """Make the change from ``before`` to ``now`` in ``text``, which may have changed since.

    Positions in ``before`` are carried over to where they are in ``text``; what was inserted
    into a part that the change deletes stays.
    """
    raise NotImplementedError(bisect_right, SequenceMatcher, text, before, now)
