/** Motion: moved elements glide to their new places. */

const still = matchMedia("(prefers-reduced-motion: reduce)");

/** Run `change`, then animate those of `elements` that it moved. */
export function glide(elements: Iterable<HTMLElement>, change: () => void): void {
  const before = new Map([...elements].map((element) => [element, element.getBoundingClientRect()]));
  change();
  if (still.matches) return;
  for (const [element, { x, y }] of before) {
    const now = element.getBoundingClientRect();
    if (!element.isConnected || (now.x === x && now.y === y)) continue;
    const from = `translate(${x - now.x}px, ${y - now.y}px)`;
    element.animate({ transform: [from, "none"] }, { duration: 220, easing: "ease-out" });
  }
}
