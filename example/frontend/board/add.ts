/** The form that adds cards. */
import * as Y from "yjs";

import { lastPlace, type Tasks } from "./tasks.js";

export function setUpAdding(form: HTMLFormElement | null, tasks: Tasks): void {
  const input = form?.querySelector("input");
  if (!form || !input) return;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const position = lastPlace(tasks, "todo");
    tasks.create({ title: input.value, description: new Y.Text(), state: "todo", position });
    form.reset();
    form.scrollIntoView({ block: "nearest" });
  });
  // Without this script the browser would send the form to the server.
  input.disabled = false;
}
