/** A textarea that several people write in. */
import { editText } from "django-collab";
import type { Text, YTextEvent } from "yjs";

/** Let `area` show `text`, and write into it; returns what ends that. */
export function bindText(text: Text, area: HTMLTextAreaElement): () => void {
  const read = (event: YTextEvent): void => {
    // What was typed here is there already.
    if (area.value === text.toString()) return;
    const { selectionStart, selectionEnd, selectionDirection } = area;
    area.value = text.toString();
    const [start, end] = [shifted(selectionStart, event), shifted(selectionEnd, event)];
    area.setSelectionRange(start, end, selectionDirection);
  };
  const write = (): void => editText(text, area.value);
  area.value = text.toString();
  area.addEventListener("input", write);
  text.observe(read);
  return () => {
    area.removeEventListener("input", write);
    text.unobserve(read);
    area.value = "";
  };
}

/** Where a place in the text is after a change. */
function shifted(place: number, { delta }: YTextEvent): number {
  let index = 0;
  for (const { retain = 0, insert = "", delete: removed = 0 } of delta) {
    index += retain;
    if (index >= place) break;
    const added = String(insert).length;
    place += added - Math.min(removed, place - index);
    index += added;
  }
  return place;
}
