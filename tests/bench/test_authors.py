"""Authors of the benchmark type what the documents of clients would send."""

from __future__ import annotations

from typing import Any

from pycrdt import Doc, Text

from bench.authors import Author

UPDATES = 2_000


def test_updates_are_those_of_a_document_in_which_the_same_is_typed() -> None:
    writer = Author(3)
    reader: Doc[Any] = Doc()
    typed: Doc[Any] = Doc(client_id=writer.client_id)
    read, text = reader.get("text", type=Text), typed.get("text", type=Text)
    changes: list[dict[str, Any]] = []

    def follow(event: Any) -> None:
        changes.extend(event.delta)

    subscription = read.observe(follow)
    for clock in range(UPDATES):
        update = writer.update(clock)
        reader.apply_update(update)
        known, place = typed.get_state(), 0
        for change in changes:
            place += change.get("retain", 0)
            if "insert" in change:
                text.insert(place, change["insert"])
        changes.clear()
        assert typed.get_update(known) == update
    read.unobserve(subscription)
    assert str(read) == str(text)
    assert len(str(text)) == UPDATES


def test_authors_type_the_same_each_time_and_not_what_others_type() -> None:
    assert Author(1).update(500) == Author(1).update(500)
    assert Author(1).update(500) != Author(2).update(500)
