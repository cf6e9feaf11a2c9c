/** The read-only link. */
import { setUpCopy } from "./copy.js";

export function setUpShare(panel: HTMLElement | null): void {
  const link = panel?.querySelector("input");
  const button = panel?.querySelector("button");
  if (!link || !button) return;
  link.addEventListener("focus", () => link.select());
  setUpCopy(
    button,
    () => link.value,
    () => link.select(),
  );
}
