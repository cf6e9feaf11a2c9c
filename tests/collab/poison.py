"""Updates that harm pycrdt 0.14.

They were found with a seeded random generator: updates of text, maps, lists and XML were mutated
(a byte replaced, deleted or put in), others put together from random structs, and each was tried
in a process of its own. Those that stand here were then shortened by hand.
"""

from __future__ import annotations

__all__ = [
    "CONTRADICTING",
    "CORRUPTING",
    "ENDLESS",
    "PANICKING",
    "POISONING",
    "RAISING",
    "SILENTLY_POISONING",
    "deep_value",
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
