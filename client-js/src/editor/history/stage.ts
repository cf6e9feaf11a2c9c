/** Shows a version in the place of the text, which stays connected meanwhile. */
import { Awareness } from "y-protocols/awareness";
import type { AbstractType, Doc } from "yjs";

import { authorRuns, type AuthorRun } from "../../authors.js";
import type { People } from "../../history-entries.js";
import type { Authors, Difference } from "../../versioning.js";
import { make, type Frame } from "../frame.js";
import type { MakeSurface, Surface } from "../surface.js";

export type LoadSurface = () => Promise<{ makeSurface: MakeSurface }>;

interface StageOptions {
  element: HTMLElement;
  frame: Frame;
  load: LoadSurface;
  /** The styles of authors, for texts that are in a shadow. */
  sheet: CSSStyleSheet;
}

export class Stage {
  readonly #options: StageOptions;
  #host: HTMLElement | undefined;
  #end = (): void => undefined;

  constructor(options: StageOptions) {
    this.#options = options;
  }

  /** Show the text of a version, as its editor does. */
  async showText(content: Doc): Promise<void> {
    await this.#open(content);
  }

  /** Show the text in the colours of its authors; return the number of each author's letters. */
  async showAuthors(content: Doc, authors: Authors, people: People): Promise<Map<string | null, number>> {
    const { sheet } = this.#options;
    const surface = await this.#open(content);
    // Not before: an editor may have removed nodes that it does not know.
    const found = authorRuns(content.share.get(this.#field) as AbstractType<unknown>, authors.ranges);
    const runs = found.map(({ text, user }) => ({ text, className: people.classOf(user) }));
    await surface.showAuthors({ runs, sheet });
    return lettersOf(found);
  }

  /** Show added and removed text, the added one in the colours of its authors. */
  showDifference({ html, authors }: Difference, people: People): void {
    const label = this.#options.frame.t("Changes since then");
    const shown = make("div", { class: "tiptap collab-changes", role: "group", "aria-label": label });
    shown.append(...contentOf(html));
    authors.forEach((user, index) => {
      for (const added of shown.querySelectorAll(`.author-${String(index)}`)) {
        added.classList.add(people.classOf(user));
      }
    });
    this.#place().append(shown);
  }

  /** Show the text again. */
  clear(): void {
    this.#end();
    this.#end = (): void => undefined;
    this.#host?.remove();
    this.#host = undefined;
    this.#options.element.dataset["history"] = "list";
  }

  get #field(): string {
    return this.#options.element.getAttribute("field") ?? "default";
  }

  async #open(doc: Doc): Promise<Surface> {
    const { element, frame, load } = this.#options;
    const { makeSurface } = await load();
    const awareness = new Awareness(doc);
    const surface = makeSurface({
      host: this.#place(),
      element,
      doc,
      awareness,
      field: this.#field,
      t: frame.t,
      notify: (message) => frame.notify(message),
    });
    surface.setEditable(false);
    this.#end = (): void => {
      surface.destroy();
      awareness.destroy();
      doc.destroy();
    };
    return surface;
  }

  /** Return a new place for a version. */
  #place(): HTMLElement {
    this.clear();
    const { element } = this.#options;
    this.#host = make("div", { class: "collab-surface collab-version" });
    element.prepend(this.#host);
    element.dataset["history"] = "version";
    return this.#host;
  }
}

function lettersOf(runs: AuthorRun[]): Map<string | null, number> {
  const letters = new Map<string | null, number>();
  for (const { user, text } of runs) letters.set(user, (letters.get(user) ?? 0) + text.length);
  return letters;
}

/** Return the nodes of HTML of the server's. */
function contentOf(html: string): Node[] {
  const { body } = new DOMParser().parseFromString(html, "text/html");
  for (const styled of body.querySelectorAll<HTMLElement>("[style]")) {
    // By script it passes a policy without `unsafe-inline`.
    const style = styled.getAttribute("style") ?? "";
    styled.removeAttribute("style");
    styled.style.cssText = style;
  }
  return [...body.childNodes];
}
