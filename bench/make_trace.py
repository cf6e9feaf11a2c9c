"""Make an editing trace: somebody types, corrects, pastes, moves about, in a text of many scripts.

``python -m bench.make_trace`` writes ``bench/traces/small.json.gz`` anew, always the same.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

from .trace_file import Patch, Trace, apply_patch, save

__all__ = ["SMALL", "make_trace"]

#: The trace that the project ships.
SMALL = Path(__file__).parent / "traces" / "small.json.gz"

#: Letters of one to four bytes in UTF-8, one and two code units in UTF-16; some characters that
#: people see as one are several code points: an accent apart from its letter, a family, a flag.
WORDS = (
    *("the", "document", "is", "shared", "and", "everybody", "writes", "a", "line", "of", "it"),
    *("größer", "naïve", "čeština", "Ελληνικά", "русский", "עברית", "العربية", "हिन्दी", "ไทย"),
    *("日本語", "한국어", "中文", "𐐷𐐴𐑌", "𠜎𠜱", "e\u0301te\u0301", "\u200d", "\ufeff"),
    *("😀", "🎉🎈", "👩\u200d👩\u200d👧\u200d👦", "🇪🇺", "👍🏽", "❤\ufe0f", "€", "—"),
)
GAPS = (" ", " ", " ", " ", ", ", ". ", "\n", "\r\n", "\t")


class _Writer:
    """A user at a keyboard, and the trace so far."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._cursor = 0
        self.text = "Shared notes 📝\n"
        self.transactions: list[list[Patch]] = []

    def act(self) -> None:
        """Do one of the things that people do."""
        actions = (self._type, self._erase, self._move, self._paste, self._replace, self._rename)
        (action,) = self._random.choices(actions, weights=(60, 14, 16, 3, 5, 2))
        action()

    def _edit(self, *patches: Patch) -> None:
        for patch in patches:
            self.text = apply_patch(self.text, patch)
            self._cursor = patch.position + len(patch.inserted)
        self.transactions.append(list(patches))

    def _words(self, number: int) -> str:
        words = self._random.choices(WORDS, k=number)
        return "".join(word + self._random.choice(GAPS) for word in words)

    def _type(self) -> None:
        for letter in self._words(self._random.randint(1, 6)):
            self._edit(Patch(self._cursor, 0, letter))

    def _erase(self) -> None:
        for _ in range(min(self._cursor, self._random.randint(1, 12))):
            self._edit(Patch(self._cursor - 1, 1, ""))

    def _move(self) -> None:
        self._cursor = self._random.randint(0, len(self.text))

    def _paste(self) -> None:
        self._edit(Patch(self._cursor, 0, self._words(self._random.randint(10, 40))))

    def _replace(self) -> None:
        length = min(self._random.randint(1, 40), len(self.text) - self._cursor)
        self._edit(Patch(self._cursor, length, self._words(1)))

    def _rename(self) -> None:
        """Change several places at once, as "replace all" does."""
        old, new = self._random.sample(WORDS[:20], 2)
        patches: list[Patch] = []
        found = self.text.find(old)
        while found >= 0 and len(patches) < 5:
            patches.append(Patch(found + len(patches) * (len(new) - len(old)), len(old), new))
            found = self.text.find(old, found + len(old))
        if patches:
            self._edit(*patches)


def make_trace(seed: int = 1, length: int = 6_000) -> Trace:
    """Return a trace of ``length`` transactions; the same ``seed`` makes the same trace."""
    writer = _Writer(seed)
    start = writer.text
    while len(writer.transactions) < length:
        writer.act()
    trace = Trace(start, "", writer.transactions[:length])
    return Trace(start, trace.replay(), trace.transactions)


if __name__ == "__main__":
    save(make_trace(), SMALL)
