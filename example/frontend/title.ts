/** The title of the page: a row of the database that the server mirrors into the document. */
import type { Doc } from "yjs";

export function setUpTitle(element: HTMLElement | null, doc: Doc, editor: HTMLElement): void {
  const page = doc.getMap<string>("page");
  page.observe(() => showTitle(element, page.get("title")));
  if (!(element instanceof HTMLInputElement)) return;
  element.addEventListener("change", () => void rename(element));
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    // The key itself is not for the text.
    event.preventDefault();
    editor.focus();
  });
}

function showTitle(element: HTMLElement | null, title: string | undefined): void {
  if (!element || title === undefined) return;
  document.title = title;
  if (!(element instanceof HTMLInputElement)) element.textContent = title;
  else if (document.activeElement !== element) element.value = title;
}

async function rename(input: HTMLInputElement): Promise<void> {
  const form = input.form!;
  const response = await fetch(form.action, { method: "POST", body: new FormData(form) });
  if (response.ok) input.value = document.title = await response.text();
}
