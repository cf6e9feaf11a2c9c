/** Compiled, never run: what users' code relies on stays typed. */
import { watch, watchList, type Push, type Subscription } from "django-collab/live";
import { useChannel, useChannelInstance, useChannelState } from "django-collab/react";

import { DeskChannel, NamedChannel, RoomChannel, type DeskRuntimeState } from "./live.js";
import { LabelModel, TaskModel } from "./rows.js";
import { ProjectListChannel, ProjectLiveChannel, type Project, type Task } from "./projects.js";

const desk = new DeskChannel(1, "a page", { server: "wss://example.com", token: () => "secret" });
export const total: number = (await desk.draw({ colour: "red", width: 1, before: null })).total;
await desk.choose({ at: "2026-01-01" }, ["2026-01-01"]);
await desk.add({ type: "circle", radius: 1 });
const lines: Subscription<number> = desk.subscribeToLines<number>("red", (push: Push<number>) =>
  push.data.toFixed(),
);
lines.unsubscribe();
export const unread: number | undefined = desk.runtimeState.unread;
export const runtime: Readonly<Partial<DeskRuntimeState>> = useChannel(desk).runtimeState;
// @ts-expect-error: it is no number.
new DeskChannel("1", "a page");
// @ts-expect-error: there is no such colour.
await desk.draw({ colour: "green", width: 1, before: null });
// @ts-expect-error: it has no document.
desk.doc;

export const text = new RoomChannel("a").doc.getText("text");
new NamedChannel({ doc: text.doc!, connect: false }).provider.connect();

const project = new ProjectLiveChannel(1);
export const state: Project | undefined = project.state;
export const who: string | undefined = project.state?.tasks[0]?.who?.name;
const key: number = await project.createTask({ title: "Paint" });
await project.saveTask(key, { position: 1 });
await project.deleteTask(key);
export const task: Task | undefined = project.instance("projects.TaskSerializer", key);
export const shown: Task | undefined = useChannelInstance(project, "projects.TaskSerializer", key);
export const all: Project | undefined = useChannelState(project).state;
// @ts-expect-error: it has no title.
await project.createTask({ position: 1 });
// @ts-expect-error: nobody may change that.
await project.saveTask(key, { project: 2 });
// @ts-expect-error: there is no such serializer in it.
project.instance("projects.DraftSerializer", 1);
// @ts-expect-error: steps cannot be deleted.
await project.deleteStep(1);

export const first: Project | undefined = new ProjectListChannel(1).state?.[0];

watch(desk, LabelModel, 1, (label) => label?.name.trim());
watchList(desk, TaskModel, { state: "open" }, (tasks) => [...tasks.values()][0]?.title.trim());
// @ts-expect-error: nothing else is seen of it.
watch(desk, TaskModel, 1, (task) => task?.state);
// @ts-expect-error: there is no such state.
watchList(desk, TaskModel, { state: "odd" }, (tasks) => tasks.size);
