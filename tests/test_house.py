"""The sources keep to the rules of CONTRIBUTING.md: layout, sizes, names, imports, docstrings."""

from __future__ import annotations

import ast
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from itertools import pairwise
from pathlib import Path
from statistics import median

from collab.conf import Settings
from tests.harness.sources import parsed

ROOT = Path(__file__).parents[1]
COLLAB = ROOT / "collab"
STORAGE = ROOT / "storage" / "collab_storage"
BENCH = ROOT / "bench"
EXAMPLE = ROOT / "example"
TESTS = ROOT / "tests"

MAX_FILE, MAX_MEDIAN_FILE, MAX_FUNCTION = 450, 130, 40
# The entries are public import paths, but for templatetags, where Django looks for tags.
MAX_MODULES, MAX_ENTRIES = 10, 24
MAX_METHODS, MAX_IMPORTS, MAX_SETTINGS = 25, 8, 35

#: Names that Django looks for, once in each app or class.
DJANGO_NAMES = {"Command", "Meta", "Migration"}
#: A first line that begins so names no subject, or is no imperative of the domain.
OPENING = re.compile(
    r"(What|Who|Whom|Whose|That|Those|So many|Let|Tell|Somebody|Nobody)\b", re.IGNORECASE
)

#: A first line that begins so names no object, as in "Return what the user may do".
CLAUSE = re.compile(r"(\w+ ){1,2}what\b")

#: The first line of a docstring.
DOCSTRING = re.compile(r'^ *"""(.*)', re.MULTILINE)
#: The beginning of a comment that has lines of its own, in Python or JavaScript.
COMMENT = re.compile(r"(#:?|//|/\*\*?) +")
#: The name of a test.
TEST = re.compile(r"^\s*(?:async )?def (test_\w+)", re.MULTILINE)
#: A test named so hides the connection, the update or the row that it promises something of.
TEST_OPENING = re.compile(
    r"test_(what|who|whom|whose|whoever|that|those|so_many|let|tell|which|how_many)_"
)
#: Words that a test's name has plainer ones for: sent, reported, recorded, no member, at most.
TEST_WORDS = re.compile(
    r"_(told|tells?|noted|somebody|someone|nobody|everybody|anybody|whoever|put_aside|so_many)(_|$)"
)
#: Words of docstrings, comments and texts that have plainer ones: a user, send, report, at most.
WORDS = re.compile(
    r"\b(somebody|someone|anybody|anyone|whoever|tells?|told|telling|puts? aside|takes? note"
    r"|so many|(is|are|was|were|be) to be|(has|have|had) got|going to|may not be)\b",
    re.IGNORECASE,
)

Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = ast.Module | ast.ClassDef | Function


def modules(package: Path) -> list[Path]:
    """Return the modules below a package, without those that Django or npm made."""
    return [
        path for path in package.rglob("*.py") if not {"migrations", "node_modules"} & {*path.parts}
    ]


@cache
def tree(path: Path) -> ast.Module:
    return parsed(path.read_text("utf-8"))


def definitions(kind: type | tuple[type, ...], *packages: Path) -> Iterator[tuple[str, ast.AST]]:
    """Yield the nodes of a kind in packages, each with its place."""
    for package in packages:
        for path in modules(package):
            for node in ast.walk(tree(path)):
                if isinstance(node, kind):
                    line = getattr(node, "lineno", 1)
                    yield f"{path.relative_to(ROOT)}:{line}", node


def line_counts(*packages: Path) -> dict[str, int]:
    return {
        str(path.relative_to(ROOT)): path.read_text("utf-8").count("\n")
        for package in packages
        for path in modules(package)
    }


# Layout and sizes.


def test_the_package_has_few_entries() -> None:
    entries = [
        path.name
        for path in COLLAB.iterdir()
        if path.name not in ("__init__.py", "__pycache__", "py.typed")
    ]
    assert len(entries) <= MAX_ENTRIES, sorted(entries)


def test_no_package_has_many_modules() -> None:
    folders = [COLLAB, *(path for path in COLLAB.rglob("*") if path.is_dir())]
    counts = {
        str(folder.relative_to(ROOT)): len({*folder.glob("*.py")} - {folder / "__init__.py"})
        for folder in folders
        if folder not in (COLLAB,) and folder.name != "migrations"
    }
    assert {name: count for name, count in counts.items() if count > MAX_MODULES} == {}


def test_no_file_is_long() -> None:
    counts = line_counts(COLLAB, STORAGE)
    assert {name: count for name, count in counts.items() if count > MAX_FILE} == {}


def test_most_files_are_short() -> None:
    assert median(line_counts(COLLAB).values()) <= MAX_MEDIAN_FILE


def test_no_function_is_long() -> None:
    assert [
        f"{place} {node.name}"
        for place, node in definitions((ast.FunctionDef, ast.AsyncFunctionDef), COLLAB, STORAGE)
        if isinstance(node, Function)
        and (node.end_lineno or node.lineno) - node.lineno >= MAX_FUNCTION
    ] == []


# Names.


def test_a_class_name_means_one_thing() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for place, node in definitions(ast.ClassDef, COLLAB, STORAGE):
        assert isinstance(node, ast.ClassDef)
        # The configuration of an app is named after the app, in each.
        if node.name not in DJANGO_NAMES and not node.name.endswith("Config"):
            places[node.name].append(place)
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_names_of_tests_name_the_thing() -> None:
    assert [
        f"{path.relative_to(ROOT)} {name}"
        for package in (TESTS, STORAGE)
        for path in modules(package)
        for name in TEST.findall(path.read_text("utf-8"))
        if TEST_OPENING.match(name) or TEST_WORDS.search(name)
    ] == []


def test_hub_room_and_member_stay_small() -> None:
    for module, name in (("hub.hub", "Hub"), ("rooms.room", "Room"), ("rooms.member", "Member")):
        path = COLLAB / "engine" / f"{module.replace('.', '/')}.py"
        [found] = [
            node for node in tree(path).body if isinstance(node, ast.ClassDef) and node.name == name
        ]
        functions = [node for node in found.body if isinstance(node, Function)]
        # Properties are values, which take no space of their own.
        methods = [node.name for node in functions if not node.decorator_list]
        assert len(methods) <= MAX_METHODS, (name, methods)


def test_there_are_few_settings() -> None:
    assert len(fields(Settings)) <= MAX_SETTINGS


# Docstrings.


def test_docstrings_begin_with_an_imperative_or_a_noun() -> None:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = []
    for place, node in definitions(kinds, COLLAB, STORAGE, EXAMPLE):
        assert isinstance(node, Documented)
        docstring = ast.get_docstring(node) or ""
        if OPENING.match(docstring):
            found.append(f"{place} {docstring.splitlines()[0]}")
    assert found == []


def test_docstrings_name_their_object() -> None:
    assert [
        f"{path.relative_to(ROOT)} {docstring}"
        for package in (COLLAB, STORAGE, EXAMPLE)
        for path in modules(package)
        for docstring in DOCSTRING.findall(path.read_text("utf-8"))
        if CLAUSE.match(docstring)
    ] == []


def test_docstrings_of_tests_and_benchmarks_begin_so_too() -> None:
    assert [
        f"{path.relative_to(ROOT)} {docstring}"
        for package in (TESTS, BENCH)
        for path in modules(package)
        for docstring in DOCSTRING.findall(path.read_text("utf-8"))
        if OPENING.match(docstring)
    ] == []


def comments(path: Path) -> Iterator[str]:
    """Yield the first line of each comment that has lines of its own."""
    lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    for before, line in pairwise(["", *lines]):
        if (mark := COMMENT.match(line)) and not COMMENT.match(before):
            yield line.removeprefix(mark[0])


def test_comments_begin_with_the_thing() -> None:
    folders = ("client-js/src", "client-js/test", "example/frontend", "tests/js", "tests/editors")
    scripts = [path for folder in folders for path in (ROOT / folder).rglob("*.[jt]s")]
    paths = [path for package in (COLLAB, STORAGE, EXAMPLE) for path in modules(package)]
    assert [
        f"{path.relative_to(ROOT)} {comment}"
        for path in (*paths, *scripts)
        if "node_modules" not in path.parts
        for comment in comments(path)
        if OPENING.match(comment)
    ] == []


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of docstrings, comments and other texts, each with its number."""
    kinds = {"COMMENT", "STRING", "FSTRING_MIDDLE"}
    with tokenize.open(path) as file:
        for token in tokenize.generate_tokens(file.readline):
            if tokenize.tok_name[token.type] in kinds:
                yield from enumerate(token.string.splitlines(), token.start[0])


def test_prose_uses_plain_words() -> None:
    assert [
        f"{path.relative_to(ROOT)}:{number} {text.strip()}"
        for package in (COLLAB, STORAGE, EXAMPLE)
        for path in modules(package)
        if WORDS.search(path.read_text("utf-8"))
        for number, text in prose(path)
        if WORDS.search(text)
    ] == []


def test_a_pause_in_a_test_says_why_time_itself_passes() -> None:
    assert [
        place
        for place, node in definitions(ast.Call, TESTS)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("asyncio.sleep", "time.sleep")
        and ast.unparse(node.args[0]) != "0"
        and not place.startswith("tests/harness/")
        and not follows_comment(place)
    ] == []


def follows_comment(place: str) -> bool:
    """Return whether the line before a place is a comment."""
    path, _, number = place.partition(":")
    return (ROOT / path).read_text("utf-8").splitlines()[int(number) - 2].lstrip().startswith("#")


# Imports.


def name_of(path: Path) -> str:
    """Return the dotted name of a module."""
    base = ROOT if COLLAB in path.parents else STORAGE.parent
    return ".".join(path.relative_to(base).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path, known: set[str]) -> Iterator[str]:
    """Yield the modules that a module imports anywhere, for type checkers only included."""
    name = name_of(path)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")
                base = ".".join([*parents[: len(parents) - node.level + 1], *base.split(".")])
            base = base.rstrip(".")
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield inner if inner in known else base


def graph() -> dict[str, set[str]]:
    """Return the imports between modules.

    The faces of packages are left out: they import from inside, lest users have to.
    """
    paths = [path for path in (*modules(COLLAB), *modules(STORAGE)) if path.name != "__init__.py"]
    known = {name_of(path) for path in paths}
    return {
        name_of(path): {name for name in imports(path, known) if name in known} - {name_of(path)}
        for path in paths
    }


def circles(edges: dict[str, set[str]]) -> list[set[str]]:
    """Return the groups of modules that import each other, at first or second hand."""
    reach = {name: reachable(name, edges) for name in edges}
    found = {
        frozenset({name, *(other for other in reach[name] if name in reach[other])})
        for name in edges
        if name in reach[name]
    }
    return [set(circle) for circle in found]


def reachable(start: str, edges: dict[str, set[str]]) -> set[str]:
    """Return the modules that are imported once a module is."""
    found: set[str] = set()
    left = [*edges[start]]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += edges[name]
    return found


def test_hub_room_and_member_need_few_modules() -> None:
    edges = graph()
    names = ("hub.hub", "rooms.room", "rooms.member")
    counts = {name: len(edges[f"collab.engine.{name}"]) for name in names}
    assert {name: count for name, count in counts.items() if count > MAX_IMPORTS} == {}


def test_imports_go_round_in_no_circle() -> None:
    assert circles(graph()) == []


def test_circles_are_found() -> None:
    edges = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set[str]()}
    assert circles(edges) == [{"a", "b", "c"}]
