/** A textarea. */
import { editText } from "../../text.js";
import { make } from "../frame.js";
import type { Place, Surface } from "../surface.js";
import type { YTextEvent } from "yjs";

export function makeSurface({ host, element, doc, field, t }: Place): Surface {
  const text = doc.getText(field);
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
  text.observe(read);
  host.append(area);
  return {
    get value() {
      return text.toJSON();
    },
    setEditable: (editable) => (area.readOnly = !editable),
    focus: () => area.focus(),
    destroy: () => text.unobserve(read),
  };
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
