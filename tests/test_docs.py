"""The documentation is complete, and every code sample in it does what it says."""

from __future__ import annotations

import http.cookiejar
import json
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

import collab
from collab import live
from collab.access import Access
from collab.conf import Settings
from collab.protocol.session import Session, json_frame
from collab.wire import CloseCode
from tests.harness.client import YjsClient
from tests.harness.services import Redis
from tests.harness.waiting import DEADLINE, poll_until
from tests.samples import PAGES, ROOT, Project, samples

README, *DOCS = PAGES
NODE_MODULES = ROOT / "example" / "node_modules"
CHECK = ["manage.py", "check", "--tag", "collab"]
SOUND = [*CHECK, "--fail-level", "WARNING"]
LANGUAGES = {"html", "ini", "js", "json", "jsx", "nginx", "python", "sh", "ts", "tsx"}


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
        is_time = row[0].strip("`").endswith(("_DELAY", "_INTERVAL", "_LAG", "_TIME", "_TIMEOUT"))
        assert row[1].endswith(" s") == is_time, row


def test_every_check_is_documented() -> None:
    checks = [path.read_text("utf-8") for path in (ROOT / "collab").rglob("checks.py")]
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


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text("utf-8")):
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_sample_is_of_a_language_that_is_tested(page: Path) -> None:
    assert {sample.language for sample in samples(page)} <= LANGUAGES


def test_the_json_samples_are_what_is_sent() -> None:
    request, *replies = samples(ROOT / "docs" / "client.md", "json")
    hello = Session(Access.WRITE, Settings(), durable=True).receive_text(request.code)
    frames = [hello.frame, json_frame("saved", data={"count": 3})]
    assert [json.loads(sample.code) for sample in replies] == [
        json.loads(frame) for frame in frames
    ]


# Shell samples.


def follow(line: str, project: Project) -> list[list[str]]:
    """Check a line of a shell sample; return its arguments if it is of ``manage.py``."""
    match shlex.split(line):
        case ["python", "manage.py", "createsuperuser"]:
            return [["manage.py", "createsuperuser", "--noinput"]]
        case ["python", *arguments]:
            return [arguments]
        case ["django-admin", *_] as command:
            project.run(*command)
        case ["pip", "install", requirement]:
            check_requirement(requirement)
        case ["npm", "install", *names]:
            # What is locked for the example is known to exist, and to fit together.
            locked = json.loads(text_of("example/package-lock.json"))["packages"]
            assert [name for name in names if f"node_modules/{name}" not in locked] == []
        case ["npx", "esbuild", *_]:
            pass  # test_the_readme_in_a_browser() does it.
        case ["make", target]:
            assert re.search(rf"^{target}:", text_of("Makefile"), re.MULTILINE), line
        case ["uvicorn", *arguments]:
            check_uvicorn(arguments, project)
        case _:
            pytest.fail(f"How is this to be tested? {line}")
    return []


def check_requirement(requirement: str) -> None:
    """Fail if it is not this project with extras that it has."""
    metadata = tomllib.loads(text_of("pyproject.toml"))["project"]
    name, _, extras = requirement.rstrip("]").partition("[")
    assert name == metadata["name"]
    assert set(extras.split(",")) <= {"", *metadata["optional-dependencies"]}


def check_uvicorn(arguments: list[str], project: Project) -> None:
    """Fail if uvicorn does not take these arguments."""
    assert arguments[0] == "mysite.asgi:application"
    options = [argument for argument in arguments if argument.startswith("--")]
    known = project.run("uvicorn", "--help").split()
    assert [option for option in options if option not in known] == []
    if "--ws-max-size" in options:
        size = arguments[arguments.index("--ws-max-size") + 1]
        assert int(size) == Settings().MAX_FRAME_SIZE


# The README.


@pytest.fixture(scope="session")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project of somebody who has followed the README."""
    project = Project(tmp_path_factory.mktemp("readme"))
    for sample in samples(README):
        if sample.file:
            project.write(sample)
        else:
            for line in sample.lines:
                for command in follow(line, project):
                    project.run(sys.executable, *command)
    return project


@pytest.fixture
def project(followed: Project, tmp_path: Path) -> Project:
    """A copy of it for the test alone."""
    return Project(shutil.copytree(followed.directory, tmp_path / "project"))


def test_the_readmes_project_lacks_nothing_but_a_shared_channel_layer(followed: Project) -> None:
    said = followed.run_all([*CHECK, "--deploy"])
    assert re.findall(r"collab\.[EW]\d+", said) == ["collab.W003"]


@contextmanager
def served(project: Project, command: str = "uvicorn mysite.asgi:application") -> Iterator[str]:
    """Serve the project with a command of the documentation; yield its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # What is served where is not what the sample is about.
        process = subprocess.Popen(
            [*shlex.split(command), f"--fd={listener.fileno()}"],
            cwd=project.directory,
            env=project.environment,
            pass_fds=[listener.fileno()],
        )
        try:
            yield f"localhost:{listener.getsockname()[1]}"
        finally:
            process.terminate()
            process.wait(DEADLINE)


def log_in(address: str) -> str:
    """Log in to the admin as the superuser, and return the cookies."""
    jar = http.cookiejar.CookieJar()
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    login = f"http://{address}/admin/login/"
    opener.open(login, timeout=DEADLINE).close()
    tokens = {cookie.name: cookie.value for cookie in jar}
    form = {
        "username": "ann",
        "password": "secret",
        "csrfmiddlewaretoken": tokens["csrftoken"],
        "next": "/admin/",
    }
    opener.open(login, urlencode(form).encode(), timeout=DEADLINE).close()
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in jar)


def uvicorn_command(page: Path) -> str:
    """Return the command of a page that serves the project."""
    [command] = [
        line
        for sample in samples(page, "sh")
        for line in sample.lines
        if line.startswith("uvicorn")
    ]
    return command


def client(address: str, cookies: str) -> YjsClient:
    """Return a client of the document "first", as a page of the site would have it."""
    headers = {"Cookie": cookies, "Origin": f"http://{address}"}
    return YjsClient(f"ws://{address}/ws/first", headers=headers)


async def test_what_the_readme_serves_outlives_the_server(project: Project) -> None:
    with served(project, uvicorn_command(README)) as address:
        async with client(address, log_in(address)) as ann:
            await ann.insert("Hello")
    with served(project, uvicorn_command(README)) as address:
        async with client(address, log_in(address)) as ann:
            assert ann.text == "Hello"


def test_the_readmes_view_edits_the_document(project: Project) -> None:
    written = project.run_all(
        "from django.contrib.auth.models import User\n"
        "from django.test import RequestFactory\n"
        "from notes.views import sign\n"
        "request = RequestFactory().post('/')\n"
        "request.user = User.objects.get()\n"
        "print(sign(request, 'first').content.decode())\n"
    )
    assert written == "ann was here.\n\n"


# The other pages.


@pytest.mark.parametrize("page", DOCS, ids=page_id)
def test_the_samples_of_a_page(page: Path, project: Project) -> None:
    if page.stem == "install":
        project.forget_settings()
    for sample in samples(page, "python"):
        if sample.file:
            project.write(sample)
            if sample.file == "mysite/settings.py":
                project.run_all(CHECK)
    project.run_all(["manage.py", "makemigrations", "-v0"], ["manage.py", "migrate", "-v0"])
    project.run_all(SOUND, *steps(page, project))
    run_tests(page, project)


def steps(page: Path, project: Project) -> Iterator[str | list[str]]:
    """Yield the code and the commands in the samples of a page."""
    for sample in samples(page, "python", "sh"):
        if sample.language == "sh":
            for line in sample.lines:
                yield from follow(line, project)
        elif not sample.file:
            yield sample.code


def run_tests(page: Path, project: Project) -> None:
    """Run the tests among the samples of a page, and those that ``tests/docs`` has for it."""
    notes = project.directory / "notes"
    program = ROOT / "tests" / "docs" / f"exercise_{page.stem.replace('-', '_')}.py"
    if program.exists():
        shutil.copy(program, notes / f"test_{program.name}")
    if any(sample.file == "notes/tests.py" for sample in samples(page)):
        project.run(sys.executable, "-W", "error", "manage.py", "test")
    if tests := [str(path) for path in notes.glob("test_*.py")]:
        # A configuration of its own, lest pytest looks for one further up.
        (project.directory / "pytest.ini").write_text(
            "[pytest]\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n"
        )
        project.run(sys.executable, "-m", "pytest", "-q", *tests)


def test_the_service_starts_the_server_as_the_page_does() -> None:
    page = ROOT / "docs" / "deployment.md"
    unit = "".join(sample.code for sample in samples(page, "ini"))
    [start] = re.findall(r"^ExecStart=\S+/bin/(.+)$", unit, re.MULTILINE)
    # Pings are what they are by default; the page names them to explain them.
    command = re.sub(r" --ws-ping-\w+ 20", "", uvicorn_command(page))
    assert start == command
    flags = {row[0].strip("`") for row in rows("docs/deployment.md") if row[0].startswith("`--")}
    assert [flag for flag in flags if flag not in uvicorn_command(page)] == []


async def test_the_server_for_production(project: Project) -> None:
    command = uvicorn_command(ROOT / "docs" / "deployment.md")
    with served(project, command) as address:
        async with client(address, log_in(address)) as ann:
            await ann.insert("Hello")
            assert (await ann.hello())["durable"]
            await ann.wait_saved()


async def test_members_see_what_another_process_changes(
    project: Project, redis_server: Redis
) -> None:
    for sample in samples(ROOT / "docs" / "scaling.md", "python"):
        settings = project.write(sample)
        settings.write_text(
            settings.read_text().replace("redis://localhost:6379", redis_server.url)
        )
    text = project.directory / "first.txt"
    text.write_text("Hello from a file")
    with served(project) as address:
        async with client(address, log_in(address)) as ann:
            await ann.insert("Hello")
            await ann.hello()
            await ann.wait_saved()
            project.run_all(["manage.py", "collab_import", "first", str(text), "--replace"])
            await ann.wait_until(lambda: ann.text == "Hello from a file")


# JavaScript.


@pytest.mark.browser
def test_the_javascript_samples_fit_the_types_of_the_packages(tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(NODE_MODULES)
    pages = {page: samples(page, "js") for page in PAGES}
    files: list[Path] = []
    for page, found in pages.items():
        for number, sample in enumerate(found):
            files.append(tmp_path / f"{page.stem}-{number}.js")
            files[-1].write_text(sample.code)
    assert files
    options = (
        "--noEmit --allowJs --checkJs --strict false --skipLibCheck --target es2022 --module esnext"
        " --moduleResolution bundler --lib es2023,dom,dom.iterable"
    )
    command = [str(NODE_MODULES / ".bin" / "tsc"), *options.split(), *map(str, files)]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


@pytest.mark.browser
def test_the_typescript_samples_fit_what_is_made_of_the_python_samples(project: Project) -> None:
    page = ROOT / "docs" / "typescript.md"
    for sample in samples(page):
        if sample.file:
            project.write(sample)
    project.run_all(["manage.py", "makefrontend"])
    made = (project.directory / "channels" / "notes.ts").read_text()
    for sample in samples(page, "ts", "tsx"):
        if not sample.file:
            assert sample.code.removeprefix("// Of channels/notes.ts\n") in made
    client = ROOT / "client-js"
    modules = project.directory / "node_modules"
    modules.mkdir()
    (modules / "django-collab").symlink_to(client)
    (modules / "@types").symlink_to(client / "node_modules" / "@types")
    options = (
        "--noEmit --strict --skipLibCheck --target es2022 --module esnext --jsx react-jsx"
        " --moduleResolution bundler --lib es2023,dom,dom.iterable --types react"
    )
    files = [sample.file for sample in samples(page, "ts", "tsx") if sample.file]
    tsc = client / "node_modules" / ".bin" / "tsc"
    command = [str(tsc), "--ignoreConfig", *options.split(), *files]
    result = subprocess.run(command, cwd=project.directory, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=1000 * DEADLINE)
    with sync_playwright() as playwright:
        executable = next(
            filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))
        )
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()


def build(page: Path, project: Project) -> None:
    """Build the script of a page, as the page says."""
    (project.directory / "node_modules").symlink_to(NODE_MODULES)
    [line] = [
        line
        for sample in samples(page, "sh")
        for line in sample.lines
        if line.startswith("npx esbuild")
    ]
    project.run(str(NODE_MODULES / ".bin" / "esbuild"), *shlex.split(line)[2:])


@pytest.mark.browser
def test_the_readme_in_a_browser(project: Project, browser: Browser) -> None:
    build(README, project)
    with served(project, uvicorn_command(README)) as address:
        ann, bob = (enter(browser, f"http://{address}/notes/first") for _ in range(2))
        for page in (ann, bob):
            page.get_by_label("Text").focus()
        ann.keyboard.type("Hello")
        expect(bob.locator("textarea")).to_have_value("Hello")
        bob.keyboard.press("Home")
        bob.keyboard.type("Oh, ")
        expect(ann.locator("textarea")).to_have_value("Oh, Hello")
        # Her cursor is where it was, behind the text.
        ann.keyboard.type(" you")
        expect(bob.locator("textarea")).to_have_value("Oh, Hello you")
        ann.close()
        bob.close()


@pytest.mark.browser
def test_the_board_of_the_page_on_rows_in_a_browser(project: Project, browser: Browser) -> None:
    page = ROOT / "docs" / "rows.md"
    for sample in samples(page):
        if sample.file:
            project.write(sample)
    build(page, project)
    project.run_all(["manage.py", "makemigrations", "-v0"], ["manage.py", "migrate", "-v0"])
    project.run_all("from notes.models import Board; Board.objects.create(name='Kitchen')")
    with served(project, uvicorn_command(page)) as address:
        ann, bob = (enter(browser, f"http://{address}/boards/1") for _ in range(2))
        ann.get_by_label("A new task").fill("Paint")
        ann.get_by_label("A new task").press("Enter")
        form = f"http://{address}/admin/notes/task/1/change/"
        # It is saved, and gets the key of its row, a moment later.
        poll_until(lambda: bob.goto(form) and bob.get_by_label("Title").count())
        bob.goto(f"http://{address}/boards/1")
        bob.get_by_label("Paint").check()
        expect(ann.get_by_label("Paint")).to_be_checked()
        poll_until(lambda: bob.goto(form) and bob.get_by_label("Done").is_checked())
        bob.get_by_label("Title").fill("Paint it blue")
        bob.get_by_role("button", name="Save", exact=True).click()
        expect(ann.get_by_label("Paint it blue")).to_be_checked()
        ann.close()
        bob.close()


def enter(browser: Browser, url: str) -> Page:
    """Open a page in a window of its own, through the login."""
    page = browser.new_context().new_page()
    page.goto(url)
    page.get_by_label("Username").fill("ann")
    page.get_by_label("Password").fill("secret")
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(url)
    return page
