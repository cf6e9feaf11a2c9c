/** Notices about refused cards that do not exist, so that none vanishes silently. */
import type { Refusal } from "django-collab";

import { reasons, type Tasks } from "./tasks.js";

export function showNotices(element: HTMLElement, tasks: Tasks): void {
  tasks.subscribe(() => {
    const lost = [...tasks.errors].filter(([key]) => !tasks.get(key));
    element.replaceChildren(...lost.map(([key, refusal]) => notice(tasks, key, refusal)));
  });
}

function notice(tasks: Tasks, key: string, refusal: Refusal): HTMLElement {
  const element = document.createElement("p");
  element.className = "card notice";
  const title = String(refusal.values["title"] ?? "");
  const lost = document.createElement("q");
  lost.textContent = title;
  const why = document.createElement("span");
  why.append(...(title ? [lost, " "] : []), "was not saved. ", reasons(refusal));
  const button = document.createElement("button");
  button.className = "quiet";
  button.textContent = "Got it";
  button.addEventListener("click", () => tasks.dismiss(key));
  element.append(why, button);
  return element;
}
