"""The documentation is complete, and its links lead somewhere."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path
from pkgutil import resolve_name

import pytest

import collab
from collab import live
from collab.access import Access
from collab.conf import Settings
from collab.hocuspocus.frames import SocketCode
from collab.protocol.effects import Reply
from collab.protocol.json_frames import json_frame
from collab.protocol.session import Session
from collab.wire import CloseCode
from tests.samples import DOCS, PAGES, ROOT, samples, samples_in

LANGUAGES = {"html", "ini", "js", "json", "jsx", "nginx", "python", "sh", "ts", "tsx"}
REPOSITORY = "https://github.com/django-collab/django-collab/blob/main/"
RAW = "https://raw.githubusercontent.com/django-collab/django-collab/main/"
FILES = [*PAGES, *(ROOT / name for name in ("CONTRIBUTING.md", "CHANGELOG.md")), DOCS / "index.md"]


#: A line that imports names of this project.
IMPORT = re.compile(r"^from (collab[\w.]*) import ([\w, ]+)$", re.MULTILINE)
#: A permission that Django makes for a model.
PERMISSION = re.compile(r"\.(add|change|delete|view)_[a-z]+$")
#: Pages that say how things are now; a changelog says how they were.
MAINTAINED = [
    *(page for page in FILES if page.name != "CHANGELOG.md"),
    ROOT / "bench" / "README.md",
    ROOT / "storage" / "README.md",
]


def page_id(page: Path) -> str:
    return page.stem


def text_of(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def rows(name: str) -> Iterator[list[str]]:
    """Yield the cells of each row of the tables in a page."""
    for line in text_of(name).splitlines():
        if line.startswith("|"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


# Completeness.


def quantity(value: object) -> str:
    """Return a default as the page on settings writes it."""
    if isinstance(value, dict):
        return f"`{json.dumps(value)}`"
    if isinstance(value, Path):
        return f'`BASE_DIR / "{value.name}"`'
    if isinstance(value, str):
        # The tests run without DEBUG.
        return f'`"write"` while `DEBUG`, else `"{value}"`'
    assert isinstance(value, (int, float))
    if value % 2**20 == 0 and value:
        return f"{value // 2**20} MiB"
    if value % 2**10 == 0 and value:
        return f"{value // 2**10} KiB"
    return f"{value:.9g}"


def test_every_setting_is_documented_with_its_default() -> None:
    documented = {row[0]: row[1].removesuffix(" s") for row in rows("docs/settings.md")}
    defaults = Settings()
    expected = {
        f"`{field.name}`": quantity(getattr(defaults, field.name)) for field in fields(defaults)
    }
    assert {key: documented.get(key) for key in expected} == expected


def test_times_are_documented_in_seconds() -> None:
    for row in rows("docs/settings.md"):
        is_time = (
            row[0]
            .strip("`")
            .endswith(("_DELAY", "_GRACE", "_INTERVAL", "_LAG", "_TIME", "_TIMEOUT"))
        )
        assert row[1].endswith(" s") == is_time, row


def test_every_check_is_documented() -> None:
    checks = [path.read_text("utf-8") for path in (ROOT / "collab").rglob("*checks.py")]
    ids = set(re.findall(r"collab\.[EW]\d{3}", "".join(checks)))
    documented = [row[0].strip("`") for row in rows("docs/deployment.md")]
    assert ids == {id for id in documented if id.startswith("collab.") and id[-3:].isdecimal()}


def test_every_close_code_is_documented() -> None:
    documented = {(row[0], row[1].strip("`")) for row in rows("docs/auth.md")}
    assert {(str(code.value), code.name) for code in CloseCode} <= documented


def test_every_logger_is_documented() -> None:
    named = re.compile(r'logging\.getLogger\("(collab[a-z_.]*)"\)')
    sources = [path.read_text() for path in (ROOT / "collab").rglob("*.py")]
    names = {name for source in sources for name in named.findall(source)}
    assert "collab.hub" in names
    assert names <= {row[0].strip("`") for row in rows("docs/deployment.md")}


def test_every_module_names_its_logger() -> None:
    sources = [*(ROOT / "collab").rglob("*.py")]
    assert [path for path in sources if "getLogger(__name__)" in path.read_text()] == []


def test_the_api_reference_has_every_module_that_a_sample_imports() -> None:
    reference = "".join(page.read_text("utf-8") for page in (DOCS / "api").glob("*.md"))
    imported = {
        (module, name.strip())
        for page in PAGES
        for sample in samples(page, "python")
        for module, names in IMPORT.findall(sample.code)
        for name in names.split(",")
    }
    assert ("collab.access", "Access") in imported
    documented = set(re.findall(r"auto\w+:: ([\w.]+)", reference))
    assert [
        (module, name)
        for module, name in sorted(imported)
        if module != "collab" and not {module, f"{module}.{name}"} & documented
    ] == []


def test_the_api_reference_has_every_public_name_of_live_channels() -> None:
    page = text_of("docs/api/live.md")
    assert [name for name in live.__all__ if f"collab.live.{name}\n" not in page] == []


def test_every_command_is_documented() -> None:
    commands = (ROOT / "collab").rglob("management/commands/collab_*.py")
    page = text_of("docs/documents.md")
    assert [path.stem for path in commands if f"- `{path.stem}`" not in page] == []


def test_versions_agree() -> None:
    version = collab.__version__
    assert tomllib.loads(text_of("pyproject.toml"))["project"]["version"] == version
    assert json.loads(text_of("client-js/package.json"))["version"] == version
    assert re.search(r"^## \[(.+?)\]", text_of("CHANGELOG.md"), re.MULTILINE)[1] == version  # type: ignore[index]
    assert f'"server": "{version}"' in text_of("docs/client.md")


def anchors(page: Path) -> set[str]:
    """Return the ids of the headings of a page, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """Yield the files in the repository that a page links to, each with an anchor or ``""``."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        path, _, anchor = target.partition("#")
        if path.startswith((REPOSITORY, RAW)):
            yield ROOT / path.removeprefix(REPOSITORY).removeprefix(RAW), anchor
        elif not path.startswith(("http:", "https:")):
            yield (page.parent / path).resolve() if path else page, anchor


@pytest.mark.parametrize("page", FILES, ids=page_id)
def test_links_lead_somewhere(page: Path) -> None:
    for linked, anchor in links(page):
        assert linked.exists(), linked
        assert not anchor or anchor in anchors(linked), f"{linked}#{anchor}"


def test_links_of_the_readme_work_on_a_package_page() -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", text_of("README.md"))
    assert [target for target in targets if not target.startswith("https://")] == []


def test_every_page_is_in_the_index() -> None:
    pages = {page.name for page in DOCS.glob("*.md")} - {"index.md"}
    assert pages == {page.name for page in PAGES} - {"README.md"}
    assert pages <= {linked.name for linked, _ in links(DOCS / "index.md")}


@pytest.mark.parametrize("name", ["keystroke", "save"])
def test_the_pages_for_contributors_name_modules_that_exist(name: str) -> None:
    named = re.findall(r"`([\w/]+\.py)`", text_of(f"docs/{name}.md"))
    folders = [ROOT, ROOT / "collab", ROOT / "collab" / "mirror"]
    assert len(named) > 10
    assert [path for path in named if not any((folder / path).exists() for folder in folders)] == []


def test_every_close_code_has_its_place_in_troubleshooting() -> None:
    headings = re.findall(r"^### (.*)", text_of("docs/troubleshooting.md"), re.MULTILINE)
    codes = {int(code) for heading in headings for code in re.findall(r"\d{4}", heading)}
    # Browsers report 1006; no server sends it.
    assert codes == {*CloseCode, *SocketCode, 1006}


def test_every_invariant_that_is_cited_is_explained() -> None:
    cited = {
        number
        for folder in ("collab", "storage", "docs", "tests")
        for path in (ROOT / folder).rglob("*.*")
        if path.suffix in (".py", ".md") and "node_modules" not in path.parts
        for number in re.findall(r"\bI\d+\b", path.read_text("utf-8"))
    }
    explained = re.findall(r"^\| (I\d+) \|", text_of("CONTRIBUTING.md"), re.MULTILINE)
    assert cited <= {*explained}
    assert explained == [f"I{number}" for number in range(1, len(explained) + 1)]


def test_every_package_is_in_the_map_for_contributors() -> None:
    packages = {path.parent.name for path in (ROOT / "collab").glob("*/__init__.py")}
    assert packages == set(re.findall(r"`collab/(\w+)/`", text_of("CONTRIBUTING.md")))


@pytest.mark.parametrize("page", MAINTAINED, ids=page_id)
def test_pages_name_targets_of_make_that_exist(page: Path) -> None:
    targets = set(re.findall(r"^([\w-]+):", text_of("Makefile"), re.MULTILINE))
    named = re.findall(r"(?:`|^ +)make ([\w-]+)", page.read_text("utf-8"), re.MULTILINE)
    assert {*named} <= targets


@pytest.mark.parametrize("page", MAINTAINED, ids=page_id)
def test_pages_name_modules_and_functions_that_exist(page: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    code = "\n".join(re.findall(r"`([^`\n]+)`", prose))
    names = re.findall(r"(?<![\w./-])(collab(?:_storage)?(?:\.[A-Za-z_]\w*)+)", code)
    names += [f"collab.{name}" for name in re.findall(r"(?<![\w.])documents\.[a-z_]\w*", code)]
    unknown = {name for name in names if not (PERMISSION.search(name) or name_exists(name))}
    # Loggers, checks and groups are texts in the sources.
    assert {name for name in unknown if f'"{name}' not in sources()} == set()


def name_exists(name: str) -> bool:
    """Return whether a dotted name is that of a module, or of something in one."""
    try:
        resolve_name(name)
    except (ImportError, AttributeError):
        return False
    return True


@cache
def sources() -> str:
    return "\n".join(path.read_text("utf-8") for path in (ROOT / "collab").rglob("*.py"))


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_sample_is_of_a_language_that_is_tested(page: Path) -> None:
    assert {sample.language for sample in samples(page)} <= LANGUAGES


def test_the_json_samples_are_what_is_sent() -> None:
    request, *replies = samples(ROOT / "docs" / "client.md", "json")
    hello = Session(Access.WRITE, Settings(), durable=True).receive_text(request.code)
    assert isinstance(hello, Reply)
    frames = [hello.frame, json_frame("saved", data={"count": 3})]
    assert [json.loads(sample.code) for sample in replies] == [
        json.loads(frame) for frame in frames
    ]


# What a beginner has to do.


def part(name: str, start: str, end: str) -> str:
    """Return the part of a page between two lines."""
    return text_of(name).partition(f"\n{start}")[2].partition(f"\n{end}")[0]


def lines_to_write(text: str) -> dict[str, int]:
    """Return the number of lines of each file that a part of a page has its reader write."""
    return {
        sample.file: sum(1 for line in sample.lines[1:] if line.strip())
        for sample in samples_in(text)
        if sample.file
    }


def test_a_field_takes_six_commands_and_twelve_lines() -> None:
    first = part("README.md", "## Collaborative text in one field\n", "## In Python\n")
    assert "Six commands and twelve lines" in first
    assert {sample.language for sample in samples_in(first)} == {"python", "sh"}
    assert sum(len(sample.lines) for sample in samples_in(first, "sh")) <= 6
    files = lines_to_write(first)
    assert files.keys() == {f"mysite/{name}.py" for name in ("settings", "models", "admin")}
    assert sum(files.values()) <= 12


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("## On a page of its own\n", "## With an editor of your own\n"),
        ("## With an editor of your own\n", "**5. A page.**"),
    ],
    ids=["browsers", "programs"],
)
def test_a_document_type_takes_three_files_and_25_lines_until_two_edit(
    start: str, end: str
) -> None:
    files = lines_to_write(part("docs/tutorial.md", start, end))
    assert [name for name in files if name.endswith("/documents.py")]
    assert len(files) <= 3
    assert sum(files.values()) <= 25
