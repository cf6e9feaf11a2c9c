/** A text of a form whose row is not stored yet: edited without a document, and sent with the form. */
import type { Editor } from "@tiptap/core";
import { Awareness } from "y-protocols/awareness";
import { applyUpdate, Doc } from "yjs";

import { keepValue } from "./form-value.js";
import { Frame } from "./frame.js";
import { translator } from "../strings.js";
import type { MakeSurface } from "./surface.js";

const started = new WeakSet<HTMLElement>();

/** Open an editor in the place of the text area of an element, which holds the value. */
export function start(element: HTMLElement, makeSurface: MakeSurface): void {
  const area = element.querySelector<HTMLTextAreaElement>(":scope > textarea");
  // An element that is moved within the page keeps its editor. Django copies the form with this
  // name for each row to be added.
  if (!area || started.has(element) || area.name.includes("__prefix__")) return;
  started.add(element);
  // A copy of an element that is open, as of a row to be added, has the host of the other one.
  element.querySelector(":scope > .collab-surface")?.remove();
  const doc = new Doc();
  // The user, or a browser that goes back to the page, was faster than this script.
  const isTyped = area.value !== area.defaultValue;
  if (!isTyped) applyUpdate(doc, bytesOf(element.getAttribute("draft") ?? ""));
  const frame = new Frame(element, translator(element.getAttribute("strings")));
  const host = frame.openHost();
  const field = element.getAttribute("field") ?? "default";
  const surface = makeSurface({
    host,
    bar: frame.bar,
    element,
    doc,
    awareness: new Awareness(doc),
    field,
    t: frame.t,
    notify: (message) => frame.notify(message),
  });
  frame.showEditable(true);
  surface.setEditable(true);
  if (isTyped) write(area.value, host, doc, field);
  if (document.activeElement === area) surface.focus();
  element.focus = () => surface.focus();
  area.style.display = "none";
  // The editor has the label now.
  area.removeAttribute("aria-label");
  // It lasts as long as the page.
  const { signal } = new AbortController();
  keepValue({ element, control: area, surface, doc, signal });
  element.dispatchEvent(new CustomEvent("collab-ready", { bubbles: true }));
}

/** Write a value into an editor: HTML of a rich text, else the text. */
function write(value: string, host: HTMLElement, doc: Doc, field: string): void {
  const rich = host.querySelector<HTMLElement & { editor: Editor }>(".tiptap");
  if (rich) rich.editor.commands.setContent(value);
  else doc.getText(field).insert(0, value);
}

const bytesOf = (encoded: string): Uint8Array =>
  Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
