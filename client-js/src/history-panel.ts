import * as Y from "yjs";

import type { DocumentVersion, VersionList } from "./versioning.js";
import { Versions } from "./versioning.js";

export interface HistoryPanelOptions {
  /** Shows the content of a version; without it there is no preview. */
  preview?: (content: Y.Doc, version: DocumentVersion) => void;
  /** Ends the preview. */
  endPreview?: () => void;
  /** Asks before a version is restored; by default `window.confirm`. */
  confirm?: (question: string) => boolean;
}

/** A list of versions by day, in which they are previewed, named and restored. */
export class HistoryPanel {
  readonly element: HTMLElement;
  #versions: Versions;
  #options: HistoryPanelOptions;
  #status: HTMLElement;
  #list: HTMLElement;
  #name: HTMLInputElement;
  #form: HTMLFormElement;

  /** `versions` is the address of the document's versions, or an object that knows it. */
  constructor(versions: Versions | string, options: HistoryPanelOptions = {}) {
    this.#versions = typeof versions === "string" ? new Versions(versions) : versions;
    this.#options = options;
    this.element = make("section", { className: "collab-history", ariaLabel: "Versions" });
    this.#form = make("form", { className: "collab-history-new" });
    this.#name = make("input", { placeholder: "Name of this version", required: true });
    this.#name.maxLength = 255;
    this.#form.append(this.#name, make("button", { textContent: "Keep this version" }));
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#do(async () => {
        await this.#versions.create(this.#name.value);
        this.#name.value = "";
      });
    });
    this.#status = make("p", { className: "collab-history-status", role: "status" });
    this.#list = make("div", { className: "collab-history-list" });
    this.element.append(this.#form, this.#status, this.#list);
  }

  /** Read the versions again. */
  async refresh(): Promise<void> {
    await this.#do(() => Promise.resolve());
  }

  async #do(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
      this.#show(await this.#versions.list());
      this.#status.textContent = "";
    } catch (error) {
      this.#status.textContent = error instanceof Error ? error.message : String(error);
    }
  }

  #show(found: VersionList): void {
    this.#form.hidden = !found.can_restore;
    const days = new Map<string, HTMLElement>();
    for (const version of found.versions) {
      const day = new Date(version.at).toLocaleDateString();
      let list = days.get(day);
      if (!list) days.set(day, (list = make("ol", { ariaLabel: day })));
      list.append(this.#row(version, found));
    }
    const parts = [...days].flatMap(([day, list]) => [make("h3", { textContent: day }), list]);
    this.#list.replaceChildren(...parts);
    if (!parts.length) this.#list.textContent = "There are no versions yet.";
  }

  #row(version: DocumentVersion, found: VersionList): HTMLElement {
    const row = make("li", { className: `collab-history-${version.kind}` });
    const time = make("time", { dateTime: version.at });
    time.textContent = new Date(version.at).toLocaleTimeString();
    const users = version.by.map((key) => found.users[key] ?? "unknown").join(", ");
    const label = [version.title || LABELS[version.kind], users].filter(Boolean).join(" - ");
    row.append(time, " ", make("span", { textContent: label }), " ");
    if (this.#options.preview) {
      row.append(this.#button("Preview", () => this.#preview(version)));
    }
    if (found.can_restore) row.append(this.#button("Restore", () => this.#restore(version)));
    return row;
  }

  #button(text: string, act: () => Promise<void>): HTMLElement {
    const button = make("button", { textContent: text, type: "button" });
    button.addEventListener("click", () => void act());
    return button;
  }

  async #preview(version: DocumentVersion): Promise<void> {
    await this.#do(async () => {
      const content = new Y.Doc();
      Y.applyUpdate(content, await this.#versions.state(version.id));
      this.#options.preview?.(content, version);
    });
  }

  async #restore(version: DocumentVersion): Promise<void> {
    const confirm = this.#options.confirm ?? ((question: string) => window.confirm(question));
    const time = new Date(version.at).toLocaleString();
    if (!confirm(`Restore the version of ${time}? The present content is kept as a version.`)) return;
    this.#options.endPreview?.();
    await this.#do(() => this.#versions.restore(version.id));
  }
}

const LABELS: Record<DocumentVersion["kind"], string> = {
  auto: "",
  named: "",
  restore: "Before a restoration",
  import: "Before an import",
  replace: "Before a rewrite",
};

function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Partial<HTMLElementTagNameMap[K]> = {},
): HTMLElementTagNameMap[K] {
  return Object.assign(document.createElement(tag), properties);
}
