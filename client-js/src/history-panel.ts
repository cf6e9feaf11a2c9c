/** A panel with the versions of a document. */
import * as Y from "yjs";

import { byDay, Calendar, entryButton, make, People } from "./history-entries.js";
import { translator, type Translate } from "./strings.js";
import type { Authors, Difference, DocumentVersion, VersionList } from "./versioning.js";
import { Versions, VersionsError } from "./versioning.js";

export interface HistoryPanelOptions {
  /** Shows the content of a version. */
  preview?: (content: Y.Doc, version: DocumentVersion) => void | Promise<void>;
  /** Shows the content of a version in the colours of its authors; returns the letters of each. */
  showAuthors?: (
    content: Y.Doc,
    authors: Authors,
    people: People,
  ) => Map<string | null, number> | Promise<Map<string | null, number>>;
  /** Shows the changes since a version. */
  compare?: (difference: Difference, people: People) => void;
  /** Ends the view of any of the three above. */
  endPreview?: () => void;
  /** Ends the panel, for which it has a button. */
  close?: () => void;
  /** Texts in the language of the page. */
  translate?: Translate;
  /** Of dates; by default that of the page. */
  language?: string;
}

/** A way to show a version. */
type View = "preview" | "showAuthors" | "compare";

const VIEWS: Record<View, string> = {
  preview: "Text",
  showAuthors: "Authors",
  compare: "Changes since then",
};

/** A list of versions by day, in which they are shown, compared, named and restored. */
export class HistoryPanel {
  readonly element = make("section", { className: "collab-history" });
  readonly #versions: Versions;
  readonly #options: HistoryPanelOptions;
  readonly #t: Translate;
  readonly #people: People;
  readonly #calendar: Calendar;
  readonly #status = make("p", { className: "collab-history-status", role: "status" });
  readonly #list = make("div", { className: "collab-history-list" });
  readonly #legend = make("p", { className: "collab-history-legend" });
  readonly #keep: HTMLFormElement;
  readonly #more: HTMLButtonElement;
  #found: VersionList | undefined;
  #selected: DocumentVersion | undefined;
  #view: View = "preview";
  /** Answers to earlier requests are not shown any more. */
  #turn = 0;
  /** Number of the newest message in the status. */
  #said = 0;

  /** `versions` is the address of the document's versions, or an object that knows it. */
  constructor(versions: Versions | string, options: HistoryPanelOptions = {}) {
    this.#versions = typeof versions === "string" ? new Versions(versions) : versions;
    this.#options = options;
    this.#t = options.translate ?? translator(null);
    this.#people = new People(this.#t);
    this.#calendar = new Calendar(options.language ?? (document.documentElement.lang || undefined));
    this.#keep = this.#question("Name of this version", "Keep this version", "", (title) =>
      this.#change(async () => {
        await this.#versions.create(title);
        this.#keep.reset();
      }, "This version is kept."),
    );
    this.#keep.hidden = true;
    this.#more = this.#button("Show earlier versions", () => this.#loadMore());
    this.#more.hidden = true;
    this.element.ariaLabel = this.#t("Versions");
    this.element.append(this.#head(), this.#keep, this.#status, this.#legend, this.#list, this.#more);
    this.element.addEventListener("keydown", (event) => this.#onKey(event));
    // A page follows the text by this event.
    this.element.addEventListener("input", (event) => event.stopPropagation());
  }

  /** Read the newest versions again; an open question waits for its answer. */
  async refresh(): Promise<void> {
    if (this.#list.querySelector("form")) return;
    await this.#load(this.#found ? "" : "Loading…");
  }

  /** Put the focus into the panel. */
  focus(): void {
    this.element.querySelector<HTMLElement>("button")?.focus();
  }

  async #load(message: string): Promise<boolean> {
    return this.#attempt(message, async () => {
      const first = await this.#versions.list();
      const last = first.versions.at(-1);
      const known = this.#found?.versions ?? [];
      const earlier = last && first.has_more ? known.filter(({ at }) => at < last.at) : [];
      const hasMore = earlier.length ? this.#found?.has_more === true : first.has_more;
      this.#show({ ...first, versions: [...first.versions, ...earlier], has_more: hasMore });
    });
  }

  async #loadMore(): Promise<void> {
    await this.#attempt("Loading…", async () => {
      const known = this.#found?.versions ?? [];
      const next = await this.#versions.list(known.at(-1)?.at);
      const ids = new Set(known.map(({ id }) => id));
      const added = next.versions.filter(({ id }) => !ids.has(id));
      this.#show({ ...next, versions: [...known, ...added] });
      this.#buttonOf(added[0])?.focus();
    });
  }

  /** Do what may fail, and say so; return whether it has been done. */
  async #attempt(message: string, work: () => Promise<unknown>): Promise<boolean> {
    if (message) this.#say(message);
    const said = this.#said;
    this.element.ariaBusy = "true";
    try {
      await work();
      // A later message stays, and so does that of a success when the list is read again.
      const isOver = message !== "" || this.#status.classList.contains("collab-history-problem");
      if (said === this.#said && isOver) this.#say("");
      return true;
    } catch (error) {
      if (said !== this.#said) return false;
      this.#status.textContent = this.#problem(error);
      this.#status.classList.add("collab-history-problem");
      return false;
    } finally {
      this.element.ariaBusy = "false";
    }
  }

  #say(message: string): void {
    this.#said += 1;
    this.#status.classList.remove("collab-history-problem");
    this.#status.textContent = message && this.#t(message);
  }

  #problem(error: unknown): string {
    const t = this.#t;
    const status = error instanceof VersionsError ? error.status : undefined;
    if (!(error instanceof VersionsError)) console.warn(error);
    else if (status === undefined) return t("The server cannot be reached.");
    if (status === 401) return t("Log in again to see the versions.");
    if (status === 403) return t("You may not do this.");
    if (status === 404) return t("There is no such version any more.");
    return t("The server has not answered as expected. Try again later.");
  }

  /** Change versions on the server, and show them again. */
  async #change(work: () => Promise<unknown>, done: string): Promise<boolean> {
    if (!(await this.#attempt("Saving…", work))) return false;
    if (await this.#load("")) this.#say(done);
    return true;
  }

  #show(found: VersionList): void {
    const isSame = JSON.stringify(found) === JSON.stringify(this.#found);
    this.#found = found;
    this.#people.learn(found.users);
    this.#keep.hidden = !found.can_restore;
    this.#more.hidden = !found.has_more;
    if (isSame) return;
    const { id } = this.#selected ?? {};
    this.#selected = found.versions.find((version) => version.id === id);
    if (id !== undefined && !this.#selected) this.endPreview();
    this.#render();
  }

  #render(): void {
    const root = this.element.getRootNode() as Document | ShadowRoot;
    const focused = root.activeElement;
    const id = focused?.closest("li")?.dataset["id"];
    const days = byDay(this.#found?.versions ?? [], this.#calendar, (version) => this.#entry(version));
    this.#list.replaceChildren(...days);
    if (!days.length) this.#list.textContent = this.#t("There are no versions yet.");
    if (id !== undefined && !focused?.isConnected) this.#buttonOf({ id: Number(id) })?.focus();
  }

  #entry(version: DocumentVersion): HTMLElement {
    const isSelected = version.id === this.#selected?.id;
    const entry = make("li", { className: `collab-history-${version.kind}` });
    entry.dataset["id"] = String(version.id);
    const button = entryButton(version, this.#people, this.#calendar, this.#t);
    button.ariaExpanded = String(isSelected);
    button.addEventListener("click", () => void this.#select(version));
    entry.append(button);
    if (isSelected) entry.append(this.#actions(version));
    return entry;
  }

  #actions(version: DocumentVersion): HTMLElement {
    const actions = make("div", { className: "collab-history-actions", role: "group" });
    actions.ariaLabel = this.#calendar.moment(version);
    for (const [view, label] of Object.entries(VIEWS) as [View, string][]) {
      if (!this.#options[view]) continue;
      const button = this.#button(label, () => this.#showVersion(version, view));
      button.ariaPressed = String(view === this.#view);
      button.dataset["view"] = view;
      actions.append(button);
    }
    if (!this.#found?.can_restore) return actions;
    const ask = (form: HTMLElement): void => {
      actions.querySelector("form")?.remove();
      actions.append(form);
      form.querySelector<HTMLElement>("input, button")?.focus();
    };
    actions.append(
      this.#button("Rename", () => ask(this.#naming(version))),
      this.#button("Restore", () => ask(this.#restoring(version))),
    );
    return actions;
  }

  #naming(version: DocumentVersion): HTMLElement {
    const name = (title: string): Promise<boolean> =>
      this.#change(() => this.#versions.rename(version.id, title), "The name is saved.");
    return this.#question("Name of this version", "Save", version.title, name);
  }

  #restoring(version: DocumentVersion): HTMLElement {
    const restore = (): Promise<boolean> =>
      this.#change(async () => {
        await this.#versions.restore(version.id);
        this.endPreview();
      }, "The version is restored. The text as it was before is kept as a version.");
    const question = this.#question("", "Restore this version", "", restore);
    const time = this.#calendar.moment(version);
    const text = "Restore the version of %(time)s? The present text is kept as a version.";
    question.prepend(make("p", { textContent: this.#t(text, { time }) }));
    return question;
  }

  /** Return a form that asks for a text, or only for a confirmation. */
  #question(
    label: string,
    action: string,
    before: string,
    answer: (text: string) => Promise<boolean>,
  ): HTMLFormElement {
    const form = make("form", { className: "collab-history-question" });
    const input = make("input", { type: "text", value: before, maxLength: 255, autocomplete: "off" });
    input.required = before === "";
    if (label) {
      const shown = make("label", { textContent: this.#t(label) });
      shown.append(input);
      form.append(shown);
    }
    const button = form.appendChild(make("button", { textContent: this.#t(action) }));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      event.stopPropagation();
      // Once: another click must not restore twice.
      button.disabled = true;
      void answer(input.value.trim()).then((isDone) => {
        button.disabled = false;
        if (isDone) this.#closeQuestion(form);
      });
    });
    return form;
  }

  /** Take a question away that has been answered, unless it always stays. */
  #closeQuestion(form: HTMLElement): void {
    if (form === this.#keep || !this.#list.contains(form)) return;
    const entry = form.closest("li");
    form.remove();
    this.#buttonOf({ id: Number(entry?.dataset["id"]) })?.focus();
  }

  async #select(version: DocumentVersion): Promise<void> {
    if (this.#selected?.id === version.id) {
      this.endPreview();
      this.#render();
      return;
    }
    this.#selected = version;
    this.#view = "preview";
    this.#render();
    await this.#showVersion(version, this.#view);
  }

  async #showVersion(version: DocumentVersion, view: View): Promise<void> {
    const turn = (this.#turn += 1);
    this.#view = view;
    this.#markView();
    await this.#attempt("Loading…", async () => {
      try {
        const show = await this.#loadView(version, view);
        if (turn === this.#turn) await show();
      } catch (error) {
        // Of something that is not shown any more, it is of no interest.
        if (turn === this.#turn) throw error;
      }
    });
  }

  /** Return what shows a version, once all of it is loaded. */
  async #loadView(version: DocumentVersion, view: View): Promise<() => unknown> {
    const { preview, showAuthors, compare } = this.#options;
    this.#legend.replaceChildren();
    if (view === "compare") {
      const difference = await this.#versions.compare(version.id);
      this.#people.learn(difference.users);
      return () => {
        compare?.(difference, this.#people);
        this.#explain(new Map(difference.authors.map((key) => [key, undefined])));
      };
    }
    const content = new Y.Doc();
    Y.applyUpdate(content, await this.#versions.state(version.id));
    if (view === "preview") return () => preview?.(content, version);
    const authors = await this.#versions.authors();
    this.#people.learn(authors.users);
    return async () => {
      const letters = await showAuthors?.(content, authors, this.#people);
      this.#explain(letters ?? new Map<string | null, number>());
    };
  }

  /** List authors with their colours. */
  #explain(letters: Map<string | null, number | undefined>): void {
    const labels = [...letters].map(([key, count]) =>
      this.#people.label(key, count === undefined ? "" : ` (${String(count)})`),
    );
    this.#legend.replaceChildren(...labels.flatMap((label) => [label, " "]));
  }

  #markView(): void {
    for (const button of this.#list.querySelectorAll<HTMLElement>("[data-view]")) {
      button.ariaPressed = String(button.dataset["view"] === this.#view);
    }
  }

  /** End the view of a version; one that is still being loaded is not shown any more. */
  endPreview(): void {
    this.#turn += 1;
    this.#selected = undefined;
    this.#legend.replaceChildren();
    this.#options.endPreview?.();
  }

  #onKey(event: KeyboardEvent): void {
    const { key } = event;
    if (key === "Escape") {
      event.stopPropagation();
      this.#leave();
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[key];
    const at = (event.target as Element).closest(".collab-history-version");
    if (step === undefined || !at) return;
    event.preventDefault();
    const all = [...this.#list.querySelectorAll<HTMLElement>(".collab-history-version")];
    all[all.indexOf(at as HTMLElement) + step]?.focus();
  }

  /** Leave the question, or else the version, or else the panel. */
  #leave(): void {
    const question = this.#list.querySelector("form");
    if (question) this.#closeQuestion(question);
    else if (this.#selected) {
      this.endPreview();
      this.#render();
    } else this.#options.close?.();
  }

  #head(): HTMLElement {
    const head = make("div", { className: "collab-history-head" });
    head.append(make("strong", { textContent: this.#t("Versions") }));
    const { close } = this.#options;
    if (close) head.append(this.#button("Close the versions", () => close()));
    return head;
  }

  #button(label: string, act: () => unknown): HTMLButtonElement {
    const button = make("button", { textContent: this.#t(label), type: "button" });
    button.addEventListener("click", () => void act());
    return button;
  }

  #buttonOf(version: { id: number } | undefined): HTMLElement | null {
    const id = String(version?.id);
    return this.#list.querySelector(`.collab-history-version[data-id="${id}"]`);
  }
}
