"""TypeScript that is made of consumers and serializers, as the compiler sees it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from channels.routing import URLRouter
from django.core.management import CommandError
from django.urls import path

from collab.live import LiveConsumer, ModelSubscription, action, subscribable
from collab.live.typescript.channels import MEMBERS, typescript
from collab.live.typescript.fields import Serializers
from collab.live.typescript.files import Files, camel
from collab.live.watching.subscriptions import unregister
from tests.live import sample_consumers
from tests.projects.consumers import application as projects
from tests.rows.models import Label, Task

ROOT = Path(__file__).parents[3]
CLIENT = ROOT / "client-js"


def properties(text: str, name: str) -> dict[str, str]:
    """Return the types of an interface's properties."""
    body = re.search(rf"interface {name} {{\n(.*?)^}}", text, re.DOTALL | re.MULTILINE)
    assert body is not None
    return dict(re.findall(r"^  (.+?): (.+);$", body[1], re.MULTILINE))


def declaration(text: str, name: str) -> str:
    found = re.search(rf"^export class {name} .*?^}}", text, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[0]


def made_of(serializer: Any) -> str:
    """Return the file that the interface of a serializer is in."""
    files = Files()
    Serializers(files).shown(serializer, files.of(type(serializer)))
    [file] = files
    return file.text


def shown(serializer: Any) -> dict[str, str]:
    return properties(made_of(serializer), type(serializer).__name__.removesuffix("Serializer"))


# Serializers.


def test_types_of_a_serializers_output() -> None:
    assert shown(sample_consumers.EverythingSerializer()) == {
        "id": "number",
        "board": "number",
        "board_name": "string",
        "owner": "number | null",
        "owner_name": "string | null",
        "title": "string",
        "state": '"open" | "done"',
        "done": "boolean",
        "position": "number",
        "due": "string | null",
        "at": "string | null",
        "estimate": "string | null",
        "extra": "unknown",
        "labels": "Label[]",
        "first": "Label | null",
        "label_ids": "number[]",
        "label_names": "string[]",
        "length": "number | null",
        "rating": "1 | 2 | null",
        "tags": '("a" | "b")[]',
        "scores": "Record<string, number | null>",
        "shouted": "string[]",
        "number": "number",
        "picture": "string | null",
    }


def test_types_of_serializers_without_a_model() -> None:
    assert shown(sample_consumers.OddSerializer()) == {
        "pk": "unknown",
        "mood": '"good" | ""',
        "any": "string",
        "by_uuid": "string[]",
        "anything": "unknown",
        "broken": "unknown",
        "missing": "unknown",
    }


def test_types_of_read_only_attributes() -> None:
    assert shown(sample_consumers.ReadSerializer()) == {
        "state": '"open" | "done"',
        "done": "boolean",
        "extra": "unknown",
        "str": "string",
        "labels": "unknown",
        "owner_id": "number | null",
        "position": "number",
    }


def test_types_of_a_serializers_input() -> None:
    files = Files()
    serializer = sample_consumers.EverythingSerializer()
    names = {"title", "state", "owner", "secret", "number", "estimate", "label_ids"}
    file = files.of(sample_consumers.EverythingSerializer)
    text = Serializers(files).taken("New", serializer, names, file)
    assert properties(text + "\n", "New") == {
        "title": "string",
        "state?": '"open" | "done"',
        "owner?": "number | null",
        "secret": "string",
        "number": "string | number",
        "estimate?": "string | number | null",
        "label_ids": "number[]",
    }


# Consumers.


def test_types_of_arguments_and_results_of_actions() -> None:
    files = typescript(sample_consumers.application)
    desk = declaration(files["live.ts"], "DeskChannel")
    methods = re.findall(r"^  (?:constructor)?(\w*.*) {$", desk, re.MULTILINE)
    assert methods == [
        "(pk: number, pageName: string, options: collab.ChannelOptions = {})",
        "add(shape: Circle | Square): Promise<Circle>",
        "call_(user: unknown, anything?: unknown, others: collab.Arguments = {}): Promise<unknown>",
        "choose(options_: Options, days: string[], price?: string | null): Promise<void>",
        "draw(stroke: Stroke, onPage?: number): Promise<{ items: Stroke[]; total: number; }>",
        'guess(what: unknown, why: unknown, state: "open" | "done"): Promise<projects.Deadline>',
        'move(to: [number, number], by: "hand" | "mouse" | null, new_?: boolean):'
        " Promise<[number, number][]>",
        "openSession(pair: [number, string]): Promise<Record<string, number[]>>",
        'subscribeToLines<T = unknown>(colour: "red" | "blue", handler: (push: collab.Push<T>) =>'
        " void = () => undefined, width?: number, options: collab.SubscribeOptions = {}):"
        " collab.Subscription<T>",
        "unsubscribeAll(): Promise<void>",
    ]


def test_types_of_other_apps_are_imported() -> None:
    files = typescript(sample_consumers.application)
    assert 'import type * as projects from "./projects.js";' in files["live.ts"]
    assert properties(files["projects.ts"], "Deadline") == {"days": "number"}
    # It needs nothing of others.
    assert "import" not in files["projects.ts"]


def test_urls_are_those_of_the_routers() -> None:
    text = typescript(sample_consumers.application)["live.ts"]
    assert set(re.findall(r"collab\.path`(.+?)`", text)) == {
        "/ws/desk/${pk}/${pageName}/",
        "/ws/rooms/${room}",
        "/ws/other/named",
        "/ws/watch",
        "/ws/other/${part0}/${at}",
    }
    assert "constructor(part0: string, at: string | number, options" in text


@pytest.mark.parametrize(
    ("route", "text"),
    [
        ("50%/<int:pk>/", "/50%25/${pk}/"),
        ("a`b/<int:pk>", "/a%60b/${pk}"),
        ("a${b}/<int:pk>", "/a%24%7Bb%7D/${pk}"),
        ("caf\u00e9/<int:pk>", "/caf%C3%A9/${pk}"),
        ("a:b@c,d/<int:pk>", "/a:b@c,d/${pk}"),
    ],
)
def test_paths_are_quoted_where_urls_and_templates_need_it(route: str, text: str) -> None:
    class Routed(LiveConsumer):
        pass

    files = typescript(URLRouter([path(route, Routed.as_asgi())]))
    assert f"collab.path`{text}`" in "".join(files.values())


def test_a_list_of_a_connection_is_one_in_typescript_too() -> None:
    files = typescript(projects)["projects.ts"]
    assert "many: true, perConnection: true, relations" in declaration(files, "SearchChannel")
    assert "perConnection" not in declaration(files, "ShelfChannel")


def test_states_are_nested_and_have_writable_fields() -> None:
    text = typescript(projects)["projects.ts"]
    assert properties(text, "Project")["tasks"] == "Task[]"
    assert properties(text, "Task")["who"] == "Person | null"
    # The server sees to it that a task is one of the project.
    assert properties(text, "ProjectLiveTaskPayload") == {
        "title": "string",
        "position?": "number",
        "assignee_id?": "number | null",
    }
    project = declaration(text, "ProjectLiveChannel")
    methods = re.findall(r"^  (\w+)\(", project, re.MULTILINE)
    assert methods == [
        "constructor", "createStep", "createTask", "deleteTask", "saveStep", "saveTask"
    ]  # fmt: skip
    assert 'tasks: { type: "projects.TaskSerializer", many: true, by: null }' in project
    assert 'steps: { type: "projects.StepSerializer", many: true, by: "task" }' in project
    assert "comments: Comment[]" in text
    assert "extends collab.StateChannel<Draft[], object, DraftsTypes>" in text


@pytest.fixture
def watchable() -> Iterator[None]:
    """Two subscribable models."""

    @subscribable(Label)
    class LabelSubscription(ModelSubscription[Label]):
        serializer_class = sample_consumers.LabelSerializer

    @subscribable(Task)
    class TaskSubscription(ModelSubscription[Task]):
        fields = ("id", "title")
        filter_fields = ("state", "board", "title__startswith")

    yield
    unregister(Label)
    unregister(Task)


@pytest.mark.usefixtures("watchable")
def test_models_that_may_be_watched_are_declared_where_they_can_be() -> None:
    text = typescript(sample_consumers.application)["rows.ts"]
    assert "LabelModel: collab.Model<live.Label, Record<string, never>> =" in text
    assert 'TaskModel: collab.Model<WatchedTask, TaskFilter> = { label: "rows.Task" };' in text
    assert properties(text, "WatchedTask") == {"id": "number", "title": "string"}
    assert properties(text, "TaskFilter") == {
        "state?": '"open" | "done"',
        "board?": "number",
        "title__startswith?": "unknown",
    }
    # Nobody could watch them there.
    assert "rows.ts" not in typescript(projects)


def test_two_things_of_a_name_are_refused() -> None:
    def router(*consumers: Any) -> URLRouter:
        return URLRouter([path(f"{n}", consumer.as_asgi()) for n, consumer in enumerate(consumers)])

    class Board(LiveConsumer):
        @action
        async def set_it(self) -> None: ...

        @action
        async def setIt(self) -> None: ...

    class BoardConsumer(LiveConsumer):
        pass

    with pytest.raises(CommandError, match="Board has two methods setIt: rename an action"):
        typescript(router(Board))
    with pytest.raises(CommandError, match=r"are both called StudioChannel in live\.ts"):
        typescript(router(sample_consumers.Studio, sample_consumers.StudioConsumer))


def test_actions_keep_clear_of_what_channels_have() -> None:
    files = [CLIENT.joinpath(f"src/{name}.ts").read_text() for name in ("channel", "state")]
    classes = re.findall(r"^export class \w+Channel.*?^}", "".join(files), re.DOTALL | re.MULTILINE)
    words = r"(?:async |readonly |protected |override |get )*"
    member = re.compile(rf"^  {words}(\w+)(?:<.*?>)?[(:;]", re.MULTILINE)
    members = set(member.findall("".join(classes)))
    assert members <= MEMBERS
    assert {"call", "runtimeState", "doc", "save", "transport"} <= members


@pytest.mark.parametrize(
    ("name", "expected"), [("set_it", "setIt"), ("_private_", "private"), ("setIt", "setIt")]
)
def test_names_are_those_of_typescript(name: str, expected: str) -> None:
    assert camel(name) == expected


# The compiler.


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory in which the client package is found."""
    directory = CLIENT / "build-typescript"
    directory.mkdir(exist_ok=True)
    yield directory
    subprocess.run(["rm", "-r", str(directory)], check=True)


@pytest.mark.client
@pytest.mark.usefixtures("watchable")
def test_it_compiles_and_its_types_are_strict(directory: Path) -> None:
    both = URLRouter([path("a/", sample_consumers.application), path("b/", projects)])
    for name, text in typescript(both).items():
        directory.joinpath(name).write_text(text)
    uses = ROOT / "tests" / "live" / "sample_usage.ts"
    directory.joinpath("sample_usage.ts").write_text(uses.read_text())
    options = "--strict --exactOptionalPropertyTypes --noUncheckedIndexedAccess --noUnusedLocals"
    more = "--noUnusedParameters --verbatimModuleSyntax --skipLibCheck --noEmit --types node"
    target = "--target es2022 --module nodenext --lib es2023,dom --customConditions source"
    command = f"npx tsc --ignoreConfig {options} {more} {target}".split()
    files = [str(path) for path in directory.glob("*.ts")]
    result = subprocess.run([*command, *files], cwd=CLIENT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
