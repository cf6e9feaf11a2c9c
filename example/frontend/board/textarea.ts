/** A textarea for a shared text. */
import { editText } from "django-collab";
import type { Text, YTextEvent } from "yjs";

/** Bind `area` to `text`; returns a function that ends this. */
export function bindText(text: Text, area: HTMLTextAreaElement): () => void {
  const read = (event: YTextEvent): void => {
    // Text typed here is shown already.
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

/** Return a place in the text after a change. */
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
