/** Notices about pasted content that the editor has no nodes for. */

const SECONDS = 8;

/** Return the kinds of content in pasted or dropped data that the editor drops. */
function droppedKinds(data: DataTransfer | null): string[] {
  const html = new DOMParser().parseFromString(data?.getData("text/html") ?? "", "text/html");
  const hasImage = [...(data?.files ?? [])].some(({ type }) => type.startsWith("image/"));
  const kinds: string[] = [];
  if (hasImage || html.querySelector("img, picture, svg")) kinds.push("images");
  if (html.querySelector("table")) kinds.push("tables");
  return kinds;
}

/** Show a notice when pasted or dropped content has parts that this editor cannot keep. */
export class PasteNotice {
  readonly #element: HTMLElement;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(element: HTMLElement) {
    this.#element = element;
  }

  check(data: DataTransfer | null): void {
    const kinds = droppedKinds(data);
    if (kinds.length === 0) return;
    this.#element.textContent = `This page cannot have ${kinds.join(" and ")}; they were left out.`;
    this.#element.hidden = false;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => (this.#element.hidden = true), SECONDS * 1000);
  }
}
