/** Plain text: a textarea. */
import { UndoManager, type YTextEvent } from "yjs";

import { editText } from "../../text.js";
import { make } from "../frame.js";
import type { Place, Surface } from "../surface.js";
import { showCarets } from "./carets.js";

export function makeSurface({ host, element, doc, awareness, field, t }: Place): Surface {
  const text = doc.getText(field);
  const undo = new UndoManager(text);
  const area = make("textarea", {
    class: "collab-plain",
    "aria-label": element.getAttribute("label") ?? t("Text"),
    placeholder: element.getAttribute("placeholder") ?? "",
    rows: "4",
  }) as HTMLTextAreaElement;
  const read = (event: YTextEvent): void => {
    // Text typed here is shown already.
    const written = text.toJSON();
    if (area.value === written) return;
    const { selectionStart, selectionEnd, selectionDirection } = area;
    area.value = written;
    area.setSelectionRange(shifted(selectionStart, event), shifted(selectionEnd, event), selectionDirection);
  };
  area.value = text.toJSON();
  area.addEventListener("input", (event) => {
    event.stopPropagation();
    editText(text, area.value);
  });
  undoOwn(area, undo);
  text.observe(read);
  host.append(area);
  const hideCarets = showCarets(text, area, awareness);
  return {
    showAuthors: async (letters) => (await import("./authors.js")).showAuthors(area, letters),
    get value() {
      return text.toJSON();
    },
    setEditable: (editable) => (area.readOnly = !editable),
    focus: () => area.focus(),
    destroy: () => {
      text.unobserve(read);
      hideCarets();
      undo.destroy();
    },
  };
}

/** Undo the user's own changes; the browser's would undo those of others. */
function undoOwn(area: HTMLTextAreaElement, undo: UndoManager): void {
  const run = (isRedo: boolean): void => {
    if (isRedo) undo.redo();
    else undo.undo();
  };
  area.addEventListener("beforeinput", (event) => {
    if (event.inputType !== "historyUndo" && event.inputType !== "historyRedo") return;
    event.preventDefault();
    run(event.inputType === "historyRedo");
  });
  area.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey || area.readOnly) return;
    const key = event.key.toLowerCase();
    if (key !== "z" && key !== "y") return;
    event.preventDefault();
    run(key === "y" || event.shiftKey);
  });
}

/** Return a place in the text after a change of another person. */
function shifted(place: number, { delta }: YTextEvent): number {
  let index = 0;
  for (const { retain = 0, insert = "", delete: removed = 0 } of delta) {
    index += retain;
    if (index >= place) break;
    const added = typeof insert === "string" ? insert.length : 1;
    place += added - Math.min(removed, place - index);
    index += added;
  }
  return place;
}
