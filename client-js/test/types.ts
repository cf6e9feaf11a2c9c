/** Compiled, never run: what users' code relies on stays typed. */
import { CloseCode, CollabProvider, rows, type Access } from "django-collab";
import {
  DocumentChannel,
  LiveChannel,
  LiveError,
  StateChannel,
  watch,
  type Model,
} from "django-collab/live";
import { useProviderStatus, useRow, useRowErrors, useRows } from "django-collab/react";
import * as Y from "yjs";
import { WebsocketProvider } from "y-websocket";

const doc = new Y.Doc();
const provider = new CollabProvider("ws://localhost/ws", "room", doc, {
  params: async () => Promise.resolve({ share: "link" }),
  token: () => "secret",
  maxBackoffTime: 100,
});

provider.on("unsaved", (count: number) => count.toFixed());
provider.on("saved", ({ saved, sent }) => saved <= sent);
provider.on("access", (access: Access) => access === "write");
provider.on("closed", ({ code, reason }) => (code === CloseCode.FORBIDDEN ? reason : ""));
provider.on("status", ({ status }) => status === "connected");
provider.on("sync", (synced: boolean) => synced);
provider.on("stateless", ({ payload }) => payload.trim());
const isSent: boolean = provider.sendStateless("refetch");
// @ts-expect-error: other values are to be encoded.
provider.sendStateless({ isSent });
// @ts-expect-error: there is no such event.
provider.on("savd", () => undefined);
// @ts-expect-error: the count is a number.
provider.on("unsaved", (count: string) => count.trim());

// Editors and bindings take the stock provider.
const stock: WebsocketProvider = provider;
stock.connect();

interface Task {
  id?: number;
  title: string;
  done: boolean;
  body: string;
}

const tasks = rows<Task>(provider, "tasks");
const title: string | undefined = tasks.get("1")?.title;
const key: string = tasks.create({ title: title ?? "", body: new Y.Text("shared") });
tasks.set(key, { done: true });
tasks.subscribe(({ keys, local }) => local && keys.has(key));
tasks.on("refused", ({ fields, values, status }) => [fields["title"]?.[0], values, status]);
tasks.on("omitted", ({ refused, errors }) => [refused?.toFixed(), errors.join(" ")]);
tasks.on("created", ({ key, newKey }) => [key, newKey]);
tasks.text(key, "body")?.insert(0, "more");
// @ts-expect-error: there is no such field.
tasks.set(key, { titel: "" });
// @ts-expect-error: it is no string.
tasks.set(key, { title: 1 });
// @ts-expect-error: no text can be bound to it.
tasks.text(key, "titel");
const copy: Readonly<Task> | undefined = tasks.all().get(key);
// @ts-expect-error: copies are not for changing.
if (copy) copy.done = true;

const everything: ReadonlyMap<string, Readonly<Task>> = useRows(tasks);
const open: Task[] = useRows(tasks, (all) => [...all.values()].filter((task) => !task.done));
const isDone: boolean | undefined = useRow(tasks, key)?.done;
const reasons: string[] | undefined = useRowErrors(tasks).get(key)?.errors;
const { synced, unsaved, access } = useProviderStatus(provider);
interface Variables {
  unread: number;
}

const live = new LiveChannel<Variables>("/ws/live/", { token: () => "secret", heartbeat: 1000 });
const unread: number | undefined = live.runtimeState.unread;
const said: Promise<number> = live.call<number>("say", { text: "Hello" });
said.catch((error: unknown) => error instanceof LiveError && error.isLost && error.errors);
const off: () => void = live.on<{ text: string }>("notification", ({ text }, { number }) => [text, number]);
const taskModel: Model<Task, { done?: boolean }> = { label: "notes.Task" };
watch(live, taskModel, 1, (task) => task?.title.trim()).unsubscribe();
// @ts-expect-error: there is no such variable.
const read: unknown = live.runtimeState.read;
const beside = new DocumentChannel("/ws/room", { doc }).provider.access;
const state: Task[] | undefined = new StateChannel<Task[]>("/ws/tasks", {
  root: "notes.TaskSerializer",
  many: true,
  relations: { "notes.TaskSerializer": {} },
}).state;
export { beside, off, read, state, unread };
export { access, everything, isDone, open, reasons, synced, unsaved };
