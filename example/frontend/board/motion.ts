/** Motion: what was somewhere else a moment ago glides to where it is now. */

const still = matchMedia("(prefers-reduced-motion: reduce)");

/** Do `change`; then let those of `elements` glide that it has moved. */
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
