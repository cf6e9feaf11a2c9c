/** The versions of a document, beside its text. */
import { HistoryPanel } from "../../history-panel.js";
import { Versions } from "../../versioning.js";
import { adopt, sheet, type Frame } from "../frame.js";
import { csrfToken, grantHeaders } from "../requests.js";
import authorsCss from "./authors.css?inline";
import panelCss from "./panel.css?inline";
import { Stage, type LoadSurface } from "./stage.js";
import versionCss from "./version.css?inline";

/** Milliseconds after which the list is read again, as others make versions, too. */
const REFRESH = 30_000;

const panelSheet = sheet(authorsCss + panelCss);
const versionSheet = sheet(authorsCss + versionCss);

/** An editor whose versions are shown. */
export interface Context {
  element: HTMLElement;
  frame: Frame;
  load: LoadSurface;
  /** Aborted when the editor ends. */
  signal: AbortSignal;
  /** Shows and hides the versions. */
  button: HTMLElement;
}

const views = new WeakMap<Frame, HistoryView>();

/** Show the versions of an editor, or hide them. */
export function toggleHistory(context: Context): void {
  const { frame, signal } = context;
  if (signal.aborted) return;
  const view = views.get(frame);
  if (view) view.close();
  else views.set(frame, new HistoryView(context));
}

class HistoryView {
  readonly #context: Context;
  readonly #panel: HistoryPanel;
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(context: Context) {
    this.#context = context;
    const { element, frame, signal, button } = context;
    adopt(versionSheet);
    const shadow = element.shadowRoot as ShadowRoot;
    const styles = shadow.adoptedStyleSheets;
    if (!styles.includes(panelSheet)) styles.push(panelSheet);
    const stage = new Stage({ ...context, sheet: versionSheet });
    this.#panel = new HistoryPanel(this.#versions(), {
      translate: frame.t,
      ...languageOf(element),
      preview: (content) => stage.showText(content),
      showAuthors: (content, authors, people) => stage.showAuthors(content, authors, people),
      compare: (difference, people) => stage.showDifference(difference, people),
      endPreview: () => stage.clear(),
      close: () => this.close(),
    });
    this.#panel.element.setAttribute("part", "history");
    shadow.querySelector(".body")?.after(this.#panel.element);
    element.dataset["history"] = "list";
    button.ariaExpanded = "true";
    signal.addEventListener("abort", this.#end);
    document.addEventListener("visibilitychange", this.#refresh);
    this.#timer = setInterval(this.#refresh, REFRESH);
    this.#refresh();
    this.#panel.focus();
  }

  close(): void {
    this.#end();
    this.#context.button.focus();
  }

  readonly #end = (): void => {
    const { element, frame, signal, button } = this.#context;
    views.delete(frame);
    signal.removeEventListener("abort", this.#end);
    document.removeEventListener("visibilitychange", this.#refresh);
    clearInterval(this.#timer);
    this.#panel.endPreview();
    this.#panel.element.remove();
    delete element.dataset["history"];
    button.ariaExpanded = "false";
  };

  readonly #refresh = (): void => {
    if (!document.hidden) void this.#panel.refresh();
  };

  #versions(): Versions {
    const { element } = this.#context;
    return new Versions(element.getAttribute("history-url") ?? "", {
      headers: () => grantHeaders(element),
      csrfToken: () => csrfToken(element),
    });
  }
}

/** Return the language that the page gives to an element, if it does. */
function languageOf(element: Element): { language?: string } {
  const language = element.closest("[lang]")?.getAttribute("lang");
  return language ? { language } : {};
}
