/** Names at the cursors of the others in a textarea, which itself can show text only. */
import type { Awareness } from "y-protocols/awareness";
import type { Text } from "yjs";

import { cursorsIn, publishCursor } from "../cursors.js";
import { make } from "../frame.js";

/** Longer texts are not measured with each cursor that moves. */
const MAX_MEASURED = 100_000;

/** Show the cursors of the others above `area`, and publish the own; returns a function that ends this. */
export function showCarets(text: Text, area: HTMLTextAreaElement, awareness: Awareness): () => void {
  const layer = make("div", { class: "collab-carets", "aria-hidden": "true" });
  const mirror = make("div", { class: "collab-mirror", "aria-hidden": "true" });
  area.after(layer, mirror);
  let isPending = false;
  const draw = (): void => {
    isPending = false;
    const isMeasured = text.length <= MAX_MEASURED;
    const cursors = isMeasured ? cursorsIn(text, awareness) : [];
    layer.replaceChildren(
      ...cursors.map(({ person, head }) => {
        const { left, top } = placeOf(mirror, area, head);
        const caret = make("span", { class: "collab-caret" }, make("span", { class: "collab-caret-name" }, person.name));
        caret.style.left = `${String(left - area.scrollLeft)}px`;
        caret.style.top = `${String(top - area.scrollTop)}px`;
        caret.style.setProperty("--color", person.color);
        return caret;
      }),
    );
    mirror.replaceChildren();
  };
  const follow = (): void => {
    if (isPending) return;
    isPending = true;
    requestAnimationFrame(draw);
  };
  const publish = (): void => {
    const { selectionStart, selectionEnd, selectionDirection } = area;
    const ends = { anchor: selectionStart, head: selectionEnd };
    const selection = selectionDirection === "backward" ? { anchor: ends.head, head: ends.anchor } : ends;
    publishCursor(text, awareness, area.matches(":focus") ? selection : undefined);
  };
  const stop = new AbortController();
  const { signal } = stop;
  document.addEventListener("selectionchange", publish, { signal });
  for (const event of ["input", "focus", "blur", "select", "keyup"]) area.addEventListener(event, publish, { signal });
  area.addEventListener("scroll", follow, { signal });
  const sizes = new ResizeObserver(follow);
  sizes.observe(area);
  awareness.on("change", follow);
  text.observe(follow);
  follow();
  return () => {
    stop.abort();
    sizes.disconnect();
    awareness.off("change", follow);
    text.unobserve(follow);
    publishCursor(text, awareness, undefined);
  };
}

/** Return where a letter of a textarea is, by the same text in a block that can be measured. */
function placeOf(mirror: HTMLElement, area: HTMLTextAreaElement, index: number): { left: number; top: number } {
  mirror.style.width = `${String(area.clientWidth)}px`;
  const mark = document.createElement("span");
  mark.textContent = "\u200b";
  mirror.replaceChildren(area.value.slice(0, index), mark, area.value.slice(index));
  return { left: mark.offsetLeft, top: mark.offsetTop };
}
