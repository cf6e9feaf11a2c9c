/** The page of an object, of any subscribable model. */
import { watch, type Model } from "django-collab/live";

import { BoardModel, TaskModel } from "./channels/boards.js";
import { DashboardChannel } from "./channels/dashboard.js";
import { showConnection } from "./live.js";

interface Wanted {
  model: string;
  id: string;
}

const wanted = JSON.parse(document.getElementById("object")!.textContent!) as Wanted;
const fields = document.getElementById("fields")!;
const models: Model<object, never>[] = [BoardModel, TaskModel];
const model = models.find(({ label }) => label === wanted.model) ?? { label: wanted.model };
const channel = new DashboardChannel();

showConnection(document.getElementById("status")!, channel);
watch(channel, model, wanted.id, show, {
  onError: ({ errors }) => (fields.textContent = errors.join(" ")),
});

function show(object: object | undefined): void {
  if (object === undefined) {
    fields.textContent = "It is gone.";
  } else {
    const rows = Object.entries(object).flatMap(([name, value]) => row(name, value));
    fields.replaceChildren(...rows);
  }
}

function row(name: string, value: unknown): [HTMLElement, HTMLElement] {
  const [term, description] = [document.createElement("dt"), document.createElement("dd")];
  term.textContent = name;
  description.textContent = typeof value === "string" ? value : JSON.stringify(value);
  return [term, description];
}
