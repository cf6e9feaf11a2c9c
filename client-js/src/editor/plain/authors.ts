/** Authors in a plain text: a textarea has no colours, so another element takes its place. */
import { make } from "../frame.js";
import type { Letters } from "../surface.js";

export function showAuthors(area: HTMLTextAreaElement, { runs }: Letters): void {
  const parts = runs.map(({ text, className }) => make("span", { class: className }, text));
  const label = area.getAttribute("aria-label") ?? "";
  const attributes = { role: "textbox", "aria-readonly": "true", "aria-multiline": "true", "aria-label": label };
  area.replaceWith(make("div", { class: "collab-plain", tabindex: "0", ...attributes }, ...parts));
}
