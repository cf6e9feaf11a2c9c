/** Pictures of buttons, 24 by 24. */

const SVG = "http://www.w3.org/2000/svg";

const PATHS: Record<string, string> = {
  undo: "M8.5 5.5 5 9l3.5 3.5M5 9h9a5 5 0 0 1 0 10h-4",
  redo: "M15.5 5.5 19 9l-3.5 3.5M19 9h-9a5 5 0 0 0 0 10h4",
  code: "m8.5 8-4 4 4 4M15.5 8l4 4-4 4",
  bullets: "M10 7h9.5M10 12h9.5M10 17h9.5M5.5 7h.01M5.5 12h.01M5.5 17h.01",
  numbers: "M11 7h8.5M11 12h8.5M11 17h8.5M5 6.2 6.4 5v5M5 14.6c.2-1 2.4-1 2.2.4C7 16.4 5 17.4 5 18.6h2.4",
  tasks: "M12 7h7.5M12 17h7.5M4.5 7l1.6 1.6L9 5.6M4.6 14.8h4.4v4.4H4.6z",
  quote: "M9.5 7.5C6.5 8.5 5 10.5 5 13.5v3h4.5v-4H7M19 7.5c-3 1-4.5 3-4.5 6v3H19v-4h-2.5",
  block: "M3.5 5h17v14h-17zM8 9.5l2.5 2.5L8 14.5M12.5 14.5H16",
  rule: "M4 12h16M8 7h8M8 17h8",
  link: "M10 14a4 4 0 0 0 5.7 0l3-3a4 4 0 0 0-5.7-5.7l-1 1M14 10a4 4 0 0 0-5.7 0l-3 3a4 4 0 0 0 5.7 5.7l1-1",
  image: "M4 5h16v14H4zM4 16l4.5-4.5 4 4 3-3L20 17M15 9h.01",
  table: "M4 5h16v14H4zM4 10h16M4 14.5h16M10 5v14M15 5v14",
  highlight: "M5 19h14M8 15l8-9 3 3-8 8H8z",
  left: "M4 6h16M4 10h10M4 14h16M4 18h10",
  center: "M4 6h16M7 10h10M4 14h16M7 18h10",
  right: "M4 6h16M10 10h10M4 14h16M10 18h10",
};

const LETTERS: Record<string, string> = {
  bold: "B",
  italic: "I",
  underline: "U",
  strike: "S",
  heading1: "H1",
  heading2: "H2",
  heading3: "H3",
};

/** Return the picture, or the letters, of a button. */
export function icon(name: string): Element {
  const path = PATHS[name];
  if (path === undefined) {
    const letters = document.createElement("span");
    letters.className = `letters ${name}`;
    // Shown by the style: a picture, as the others, and no word that names the button.
    letters.dataset["letters"] = LETTERS[name] ?? "";
    return letters;
  }
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const shape = svg.appendChild(document.createElementNS(SVG, "path"));
  shape.setAttribute("d", path);
  return svg;
}
