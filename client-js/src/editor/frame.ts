/** The frame of the text: the bar of buttons, the status, and the people who are here. */
import type { Awareness } from "y-protocols/awareness";

import { present, type Person } from "./person.js";
import { HINTS, LABELS, type Status } from "./status.js";
import type { Translate } from "../strings.js";
import contentCss from "./styles/content.css?inline";
import frameCss from "./styles/frame.css?inline";

const SHOWN = 4;
const NOTICE = 8000;

const frameSheet = sheet(frameCss);
const contentSheet = sheet(contentCss);

/** The shadow of an element, and the host of the text in its light. */
export class Frame {
  readonly bar = make("div", { class: "bar", part: "toolbar", hidden: "" });
  readonly #notice = make("p", { class: "notice", id: "notice", part: "notice", role: "status", hidden: "" });
  readonly #status = make("output", { class: "status", id: "status", part: "status" });
  readonly #people = make("ul", { class: "people", id: "people", part: "people" });
  readonly #foot = make("div", { class: "foot", part: "foot" }, this.#status, this.#people);
  readonly #element: HTMLElement;
  #host: HTMLElement | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopPeople = (): void => undefined;

  constructor(
    element: HTMLElement,
    readonly t: Translate,
  ) {
    this.#element = element;
    adopt(contentSheet);
    const shadow = element.shadowRoot ?? element.attachShadow({ mode: "open" });
    shadow.adoptedStyleSheets = [frameSheet];
    this.#people.setAttribute("aria-label", t("Who is here"));
    const body = make("div", { class: "body", part: "body" }, document.createElement("slot"));
    shadow.replaceChildren(make("div", { class: "frame", part: "frame" }, this.bar, body, this.#notice, this.#foot));
  }

  /** Add a button below the text. */
  offer(label: string, act: () => void): HTMLElement {
    const button = make("button", { type: "button", class: "offer", part: "button" }, label);
    button.addEventListener("click", act);
    this.#foot.append(button);
    return button;
  }

  /** Put the host of the text in the place of the rendered text. */
  openHost(): HTMLElement {
    this.#host = make("div", { class: "collab-surface" });
    this.#rendered.forEach((part) => (part.hidden = true));
    this.#element.prepend(this.#host);
    return this.#host;
  }

  destroy(): void {
    this.#stopPeople();
    clearTimeout(this.#timer);
    this.#host?.remove();
    this.#rendered.forEach((part) => (part.hidden = false));
  }

  showEditable(editable: boolean): void {
    this.bar.hidden = !editable || this.bar.childElementCount === 0;
  }

  showStatus({ state, reason }: Status): void {
    this.#status.dataset["state"] = state;
    this.#status.textContent = (state === "closed" && reason) || this.t(LABELS[state]);
    this.#status.title = this.t(HINTS[state] ?? "");
  }

  showPeople(awareness: Awareness): void {
    const render = (): void => this.#people.replaceChildren(...this.#avatars(present(awareness)));
    awareness.on("change", render);
    this.#stopPeople = () => awareness.off("change", render);
    render();
  }

  /** Show a message for a moment. */
  notify(message: string): void {
    this.#notice.textContent = message;
    this.#notice.hidden = false;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => (this.#notice.hidden = true), NOTICE);
  }

  #avatars(people: Person[]): HTMLElement[] {
    const shown = people.slice(0, SHOWN).map((person) => {
      const found = avatar(initial(person.name), person.name);
      found.style.backgroundColor = person.color;
      return found;
    });
    const hidden = people.slice(SHOWN).map(({ name }) => name);
    if (hidden.length > 0) shown.push(avatar(`+${String(hidden.length)}`, hidden.join(", ")));
    return shown;
  }

  get #rendered(): HTMLElement[] {
    return [...this.#element.querySelectorAll<HTMLElement>(":scope > .collab-rendered")];
  }
}

/** Return the first letter of a name. */
const initial = (name: string): string => (Array.from(name)[0] ?? "").toUpperCase();

function avatar(text: string, title: string): HTMLElement {
  const name = make("span", { class: "name" }, title);
  const shown = make("span", { "aria-hidden": "true" }, text);
  return make("li", { class: "avatar", part: "avatar", title }, shown, name);
}

/** Return styles; those that come by script pass a policy without `unsafe-inline`. */
export function sheet(css: string): CSSStyleSheet {
  const made = new CSSStyleSheet();
  made.replaceSync(css);
  return made;
}

/** Apply styles to the page. */
export function adopt(styles: CSSStyleSheet): void {
  if (!document.adoptedStyleSheets.includes(styles)) document.adoptedStyleSheets.push(styles);
}

/** Return an element with attributes and children. */
export function make(
  tag: string,
  attributes: Record<string, string> = {},
  ...children: (Node | string)[]
): HTMLElement {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}
