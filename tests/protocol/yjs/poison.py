"""Updates that harm pycrdt 0.14.

They were found with a seeded random generator: updates of text, maps, lists and XML were mutated
(a byte replaced, deleted or put in), others put together from random structs, and each was tried
in a process of its own. Those that stand here were then shortened by hand.
"""

from __future__ import annotations

from collab_storage.updates import varuint

__all__ = [
    "CONTRADICTING",
    "CORRUPTING",
    "ENDLESS",
    "PANICKING",
    "POISONING",
    "RAISING",
    "SILENTLY_POISONING",
    "deep_value",
    "nested",
]

#: Two sections of one client: apply_update() of a Doc with "hello" of client 1 never returns.
ENDLESS = bytes.fromhex("02010200c101010102010202000401047465787401688101000100")

#: A section without structs: apply_update() panics.
PANICKING = bytes.fromhex("01000101000501")

#: A struct of no length: apply_update() panics, and the Doc cannot be encoded after it.
POISONING = bytes.fromhex("01020200850101046e756c6c000000")

#: The same, held back as a clock is missing: apply_update() returns, and then the Doc cannot be
#: encoded.
SILENTLY_POISONING = bytes.fromhex("01010201000000")

#: A list of JSON strings, as the first versions of Yjs wrote them: what the Doc encodes after it
#: cannot be read.
CORRUPTING = bytes.fromhex("01010200020101010002585900")

#: An item whose parent is a letter of the text, for a Doc with "hello" of client 1. It has the
#: form of an update and can be decoded, but apply_update() raises RuntimeError.
RAISING = bytes.fromhex("010102002800010101" + "6b0177017800")

#: It gives a letter of "hello" of client 1 another content, and waits for client 2. A Doc holds
#: it back, and then nothing can be made of the two together.
CONTRADICTING = bytes.fromhex("01020104040002120568656c6c6f010001030701030201010607")


def deep_value(depth: int) -> bytes:
    """Return an update that sets a key to lists inside each other, so many of them."""
    return b"\1\1\2\0\x28\1\3map\1k\1" + b"\x75\1" * depth + b"\x7f" + b"\0"


#: The first of the types that are inside each other, and another: for a map, a list and an element.
_CHAINS = {
    "map": (b"\x27\1\1m\1k\1", b"\x27\0", b"\1k\1"),
    "list": (b"\x07\1\1l\0", b"\x07\0", b"\0"),
    "xml": (b"\x07\1\1x\3\1p", b"\x07\0", b"\3\1p"),
}


def nested(levels: int, kind: str = "map", *, start: int = 0, client: int = 2) -> bytes:
    """Return an update with shared types inside each other, below ``start`` that are there."""
    first, before, after = _CHAINS[kind]
    structs = [first] if start == 0 else []
    structs += [
        before + varuint(client) + varuint(clock - 1) + after
        for clock in range(max(start, 1), start + levels)
    ]
    return b"\1" + varuint(levels) + varuint(client) + varuint(start) + b"".join(structs) + b"\0"
