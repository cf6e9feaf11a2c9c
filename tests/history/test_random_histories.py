"""Random histories of several people: versions read as they did, restorations are exact."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Array, Doc, Map, Text, UndoManager, XmlElement, XmlFragment, XmlText

from collab.history.keeping.states import decode, encode
from collab.protocol.yjs.undoing import undoing
from collab_storage.versions import VersionState

LETTERS = ["a", "bc", "é", "😀", "\n", "long text"]


class People:
    """Replicas of one document, whose edits are exchanged now and then."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.docs: list[Doc[Any]] = [Doc(client_id=number + 1) for number in range(3)]
        self.undo = [UndoManager(scopes=[doc.get("text", type=Text)]) for doc in self.docs]

    def step(self) -> None:
        """Do something as one of them."""
        number = self.chance.randrange(3)
        doc = self.docs[number]
        self.chance.choice([self.write, self.write, self.set_key, self.list_items, self.mark_up])(
            doc
        )
        if self.chance.random() < 0.1 and self.undo[number].can_undo():
            self.undo[number].undo()
        if self.chance.random() < 0.3:
            self.exchange(number, self.chance.randrange(3))

    def exchange(self, number: int, other: int) -> None:
        update = self.docs[number].get_update(self.docs[other].get_state())
        self.docs[other].apply_update(update)

    def meet(self) -> Doc[Any]:
        """Make all equal; return one of them."""
        for number in (1, 2):
            self.exchange(number, 0)
        for number in (1, 2):
            self.exchange(0, number)
        return self.docs[0]

    def write(self, doc: Doc[Any]) -> None:
        self.type_into(doc.get("text", type=Text))

    def type_into(self, text: Text | XmlText) -> None:
        places = boundaries(str_of(text))
        start, end = sorted(self.chance.choices(places, k=2))
        match self.chance.randrange(4):
            case 0 if end > start:
                del text[start:end]
            case 1 if end > start:
                text.format(start, end, {self.chance.choice(["bold", "em"]): True})
            case _:
                text.insert(start, self.chance.choice(LETTERS))

    def set_key(self, doc: Doc[Any]) -> None:
        root, key = doc.get("map", type=Map), self.chance.choice("xyz")
        match self.chance.randrange(4):
            case 0:
                root[key] = self.chance.randrange(100)
            case 1:
                root[key] = Map({"inner": Text("deep"), "n": 1})
            case 2 if key in root:
                del root[key]
            case _:
                for value in root.values():
                    if isinstance(value, Map) and "inner" in value:
                        self.type_into(value["inner"])

    def list_items(self, doc: Doc[Any]) -> None:
        root = doc.get("array", type=Array)
        if len(root) and self.chance.random() < 0.4:
            del root[self.chance.randrange(len(root))]
        else:
            item = self.chance.choice([1, "two", None])
            root.insert(self.chance.randint(0, len(root)), item if item else Map({"k": [1]}))

    def mark_up(self, doc: Doc[Any]) -> None:
        children = doc.get("xml", type=XmlFragment).children
        size = len(children)
        match self.chance.randrange(4):
            case 0 if size:
                del children[self.chance.randrange(size)]
            case 1 if size:
                child = children[self.chance.randrange(size)]
                child.attributes["level"] = str(self.chance.randrange(3))
            case 2 if size:
                texts = children[self.chance.randrange(size)].children
                if len(texts):
                    self.type_into(texts[0])
            case _:
                child = XmlElement(self.chance.choice(["p", "h1"]), {"a": "1"})
                children.insert(self.chance.randint(0, size), child)
                child.children.append(XmlText(self.chance.choice(LETTERS)))


def content_of(doc: Doc[Any]) -> dict[str, Any]:
    """Return the content; each root is read as what it is."""
    return {
        "text": doc.get("text", type=Text).diff(),
        "map": {key: plain(value) for key, value in doc.get("map", type=Map).items()},
        "array": [plain(value) for value in doc.get("array", type=Array)],
        "xml": [marked_up(child) for child in doc.get("xml", type=XmlFragment).children],
    }


def marked_up(node: Any) -> Any:
    if isinstance(node, XmlText):
        return node.diff()
    return node.tag, dict(node.attributes), [marked_up(child) for child in node.children]


def plain(value: Any) -> Any:
    if isinstance(value, Map):
        return {key: plain(item) for key, item in value.items()}
    return value.diff() if isinstance(value, Text) else value


def str_of(text: Text | XmlText) -> str:
    return "".join(chunk if isinstance(chunk, str) else "?" for chunk, _ in text.diff())


def boundaries(text: str) -> list[int]:
    """Return the places between letters, in bytes, as pycrdt counts."""
    places = [0]
    for letter in text:
        places.append(places[-1] + len(letter.encode()))
    return places


def check_history(seed: int, steps: int) -> None:
    people, versions = People(seed), list[tuple[list[VersionState], dict[str, Any]]]()
    for _ in range(steps):
        people.step()
        if people.chance.random() < 0.15:
            doc = people.meet()
            base = versions[-1][0] if versions else []
            state = encode(doc.get_update(), base)
            states = [state] if state.base is None else [base[0], state]
            versions.append((base if base and state is base[-1] else states, content_of(doc)))
        if versions and people.chance.random() < 0.1:
            doc = people.meet()
            states, content = people.chance.choice(versions)
            update = undoing(decode(states), doc.get_update())
            doc.apply_update(update)
            assert content_of(doc) == content
            people.meet()
            assert all(content_of(other) == content for other in people.docs)
    for states, content in versions:
        then: Doc[Any] = Doc()
        then.apply_update(decode(states))
        assert content_of(then) == content


@given(st.integers(0, 2**32), st.integers(10, 60))
def test_versions_read_as_they_did_and_restorations_are_exact(seed: int, steps: int) -> None:
    check_history(seed, steps)


@pytest.mark.parametrize("seed", range(5))
def test_an_edit_at_the_same_time_as_a_restoration_converges(seed: int) -> None:
    people = People(seed)
    for _ in range(20):
        people.step()
    doc = people.meet()
    then = doc.get_update()
    for _ in range(20):
        people.step()
    people.meet()
    for _ in range(3):
        people.write(people.docs[1])
    doc.apply_update(undoing(then, doc.get_update()))
    people.meet()
    contents = [content_of(each) for each in people.docs]
    assert contents[0] == contents[1] == contents[2]
