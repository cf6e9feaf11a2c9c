/** `<collab-editor>`: a document of the server, edited together. */
import { connect, type Connection } from "./connection.js";
import { keepValue, type Control } from "./form-value.js";
import { Frame } from "./frame.js";
import { personOf } from "./person.js";
import { StatusWatch, type Status } from "./status.js";
import { translator } from "../strings.js";
import type { MakeSurface, Surface } from "./surface.js";

const SURFACES: Record<string, () => Promise<{ makeSurface: MakeSurface }>> = {
  rich: () => import("./rich/surface.js"),
  markdown: () => import("./code/surface.js"),
  code: () => import("./code/surface.js"),
  plain: () => import("./plain/surface.js"),
};

/** The parts of an element while it is in a page. */
interface Life {
  connection: Connection;
  frame: Frame;
  status: StatusWatch;
  stop: AbortController;
  surface?: Surface;
  editable?: boolean;
}

export class CollabEditor extends HTMLElement {
  static readonly observedAttributes = ["readonly"];
  #life: Life | undefined;
  #denied = false;

  /** The rendered value: HTML of a rich text, else the text. */
  get value(): string {
    return this.#life?.surface?.value ?? this.#input?.value ?? "";
  }

  get connection(): Connection | undefined {
    return this.#life?.connection;
  }

  get surface(): Surface | undefined {
    return this.#life?.surface;
  }

  override focus(): void {
    this.#life?.surface?.focus();
  }

  connectedCallback(): void {
    if (this.#life) return;
    if (this.hasAttribute("draft")) {
      void this.#openDraft();
      return;
    }
    const t = translator(this.getAttribute("strings"));
    const connection = connect({
      name: this.#option("name"),
      url: this.#option("url") || "/ws/",
      token: this.#option("token"),
      version: this.hasAttribute("version") ? Number(this.#option("version")) : undefined,
      copyOf: this.#hasCopy ? this.#option("user-id") : null,
    });
    const frame = new Frame(this, t);
    const status = new StatusWatch(connection.provider, (now) => this.#onStatus(frame, now));
    const stop = new AbortController();
    this.#life = { connection, frame, status, stop };
    this.#introduce(connection, t("Guest"));
    frame.showPeople(connection.awareness);
    if (this.hasAttribute("history-url")) {
      const button = frame.offer(t("Versions"), () => {
        const context = { element: this, frame, load: this.#load, signal: stop.signal, button };
        import("./history/view.js").then(
          ({ toggleHistory }) => toggleHistory(context),
          () => frame.notify(t("Offline")),
        );
      });
    }
    const update = (): void => this.#setEditable();
    connection.provider.on("access", update);
    stop.signal.addEventListener("abort", () => connection.provider.off("access", update));
    void this.#start(this.#life);
  }

  disconnectedCallback(): void {
    const life = this.#life;
    this.#life = undefined;
    if (!life) return;
    life.stop.abort();
    life.surface?.destroy();
    life.status.destroy();
    life.frame.destroy();
    life.connection.release();
  }

  attributeChangedCallback(): void {
    this.#setEditable();
  }

  async #openDraft(): Promise<void> {
    const [{ start }, { makeSurface }] = await Promise.all([import("./draft.js"), this.#load()]);
    start(this, makeSurface);
  }

  async #start(life: Life): Promise<void> {
    const [{ makeSurface }] = await Promise.all([this.#load(), life.connection.loaded]);
    if (life.stop.signal.aborted) return;
    const { doc, awareness } = life.connection;
    life.surface = makeSurface({
      host: life.frame.openHost(),
      bar: life.frame.bar,
      element: this,
      doc,
      awareness,
      field: this.#option("field") || "default",
      t: life.frame.t,
      notify: (message) => life.frame.notify(message),
    });
    this.#setEditable();
    const control = this.#input;
    if (control) control.value = life.surface.value;
    keepValue({ element: this, control, surface: life.surface, doc, signal: life.stop.signal });
    this.dispatchEvent(new CustomEvent("collab-ready", { bubbles: true }));
  }

  #introduce({ awareness }: Connection, guest: string): void {
    const name = this.#option("user-name") || guest;
    const user = { name, color: this.#option("user-color"), id: this.#option("user-id") };
    awareness.setLocalStateField("user", personOf({ user }));
  }

  #onStatus(frame: Frame, status: Status): void {
    this.#denied = status.state === "closed";
    // A user who may write cannot do so in an editor that only shows the text.
    if (status.state === "saved" && this.hasAttribute("readonly")) status.state = "reading";
    frame.showStatus(status);
    this.dataset["state"] = status.state;
    this.dispatchEvent(new CustomEvent("collab-status", { detail: status, bubbles: true }));
    this.#setEditable();
  }

  #setEditable(): void {
    const life = this.#life;
    if (!life?.surface) return;
    const { access } = life.connection.provider;
    // Until the server has answered, a copy may be edited.
    const mayWrite = (access === undefined || access === "write") && !this.#denied;
    const editable = mayWrite && !this.hasAttribute("readonly");
    if (editable === life.editable) return;
    life.editable = editable;
    life.frame.showEditable(editable);
    life.surface.setEditable(editable);
  }

  get #load(): () => Promise<{ makeSurface: MakeSurface }> {
    const kind = this.#option("editor") || "rich";
    const load = SURFACES[kind];
    if (!load) throw new Error(`No editor: ${kind}`);
    return load;
  }

  get #hasCopy(): boolean {
    return !this.hasAttribute("readonly") && !this.hasAttribute("no-offline");
  }

  get #input(): Control | null {
    return this.querySelector(":scope > :is(input, textarea)");
  }

  #option(name: string): string {
    return this.getAttribute(name) ?? "";
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "collab-editor": CollabEditor;
  }
}
