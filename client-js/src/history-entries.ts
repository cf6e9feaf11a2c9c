/** The list of versions, as elements of a page. */
import type { Translate } from "./strings.js";
import type { DocumentVersion } from "./versioning.js";

/** Classes of authors, from `collab-author-0` on. */
export const AUTHOR_CLASSES = 8;

const LABELS: Record<DocumentVersion["kind"], string> = {
  auto: "Saved automatically",
  named: "",
  restore: "Before a restoration",
  import: "Before an import",
  replace: "Before a rewrite",
};

/** Authors, each with a colour as long as the panel is there. */
export class People {
  #keys: (string | null)[] = [];
  #names: Record<string, string> = {};
  readonly #t: Translate;

  constructor(t: Translate) {
    this.#t = t;
  }

  /** Take in the names of a list. */
  learn(names: Record<string, string>): void {
    this.#names = { ...this.#names, ...names };
  }

  name(key: string | null): string {
    return (key === null ? undefined : this.#names[key]) ?? this.#t("Unknown author");
  }

  /** Return the class of a colour. */
  classOf(key: string | null): string {
    if (key === null) return "collab-author-unknown";
    if (!this.#keys.includes(key)) this.#keys.push(key);
    return `collab-author-${String(this.#keys.indexOf(key) % AUTHOR_CLASSES)}`;
  }

  /** Return a name with its colour. */
  label(key: string | null, suffix = ""): HTMLElement {
    const colour = make("span", { className: `collab-history-colour ${this.classOf(key)}` });
    colour.ariaHidden = "true";
    const name = make("bdi", { textContent: this.name(key) });
    const label = make("span", { className: "collab-history-person" });
    label.append(colour, name, suffix);
    return label;
  }
}

/** Dates and times in the language of the page. */
export class Calendar {
  readonly #day: Intl.DateTimeFormat;
  readonly #time: Intl.DateTimeFormat;
  readonly #both: Intl.DateTimeFormat;

  constructor(language: string | undefined) {
    const format = (options: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat(language, options);
    this.#day = format({ dateStyle: "full" });
    this.#time = format({ timeStyle: "short" });
    this.#both = format({ dateStyle: "medium", timeStyle: "short" });
  }

  day({ at }: DocumentVersion): string {
    return this.#day.format(new Date(at));
  }

  time({ at }: DocumentVersion): string {
    return this.#time.format(new Date(at));
  }

  moment({ at }: DocumentVersion): string {
    return this.#both.format(new Date(at));
  }
}

/** Return the button of a version. */
export function entryButton(
  version: DocumentVersion,
  people: People,
  calendar: Calendar,
  t: Translate,
): HTMLButtonElement {
  const button = make("button", { type: "button", className: "collab-history-version" });
  button.dataset["id"] = String(version.id);
  const time = make("time", { dateTime: version.at, textContent: calendar.time(version) });
  const title = make("bdi", { className: "collab-history-title" });
  title.textContent = version.title || t(LABELS[version.kind] || "Without a name");
  const authors = make("span", { className: "collab-history-people" });
  authors.append(...separated(version.by.map((key) => people.label(key))));
  button.append(time, " ", title, " ", authors);
  return button;
}

const separated = (parts: Node[]): (Node | string)[] =>
  parts.flatMap((part, index) => (index ? [", ", part] : [part]));

/** Return the days with their entries. */
export function byDay(
  versions: readonly DocumentVersion[],
  calendar: Calendar,
  entry: (version: DocumentVersion) => HTMLElement,
): HTMLElement[] {
  const days = new Map<string, HTMLElement>();
  for (const version of versions) {
    const day = calendar.day(version);
    let list = days.get(day);
    if (!list) days.set(day, (list = make("ol", { ariaLabel: day })));
    list.append(entry(version));
  }
  return [...days].flatMap(([day, list]) => [
    make("p", { className: "collab-history-day", textContent: day }),
    list,
  ]);
}

/** Return an element with properties. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Partial<HTMLElementTagNameMap[K]> = {},
): HTMLElementTagNameMap[K] {
  return Object.assign(document.createElement(tag), properties);
}
