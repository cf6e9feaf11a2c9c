/** The toolbar above a rich text: one stop of the Tab key, with arrows between its buttons. */
import type { ChainedCommands, Editor } from "@tiptap/core";
import { TextSelection, type Transaction } from "@tiptap/pm/state";

import { make, sheet } from "../frame.js";
import { icon } from "../icons.js";
import type { Place } from "../surface.js";
import { Prompt } from "./prompt.js";
import type { TableCommand, commands } from "./table-editing.js";
import { addressOf, isSafe } from "./link.js";
import toolbarCss from "./toolbar.css?inline";
import type { Uploads } from "./uploads.js";

const styles = sheet(toolbarCss);

interface Tool {
  name: string;
  label: string;
  run: (chain: ChainedCommands) => ChainedCommands;
  /** The mark or node of a button that is on or off. */
  active?: [name: string | Record<string, string>, attributes?: Record<string, unknown>];
}

const heading = (level: 1 | 2 | 3, label: string): Tool => ({
  name: `heading${String(level)}`,
  label,
  run: (chain) => chain.toggleHeading({ level }),
  active: ["heading", { level }],
});

const align = (side: string, label: string): Tool => ({
  name: side,
  label,
  run: (chain) => chain.toggleTextAlign(side),
  active: [{ textAlign: side }],
});

const GROUPS: Tool[][] = [
  [
    { name: "undo", label: "Undo", run: (chain) => chain.undo() },
    { name: "redo", label: "Redo", run: (chain) => chain.redo() },
  ],
  [heading(1, "Large heading"), heading(2, "Heading"), heading(3, "Small heading")],
  [
    { name: "bold", label: "Bold", run: (chain) => chain.toggleBold(), active: ["bold"] },
    { name: "italic", label: "Italic", run: (chain) => chain.toggleItalic(), active: ["italic"] },
    { name: "underline", label: "Underline", run: (chain) => chain.toggleUnderline(), active: ["underline"] },
    { name: "strike", label: "Strike through", run: (chain) => chain.toggleStrike(), active: ["strike"] },
    { name: "highlight", label: "Highlight", run: (chain) => chain.toggleHighlight(), active: ["highlight"] },
    { name: "code", label: "Code", run: (chain) => chain.toggleCode(), active: ["code"] },
  ],
  [
    { name: "bullets", label: "Bullet list", run: (chain) => chain.toggleBulletList(), active: ["bulletList"] },
    { name: "numbers", label: "Numbered list", run: (chain) => chain.toggleOrderedList(), active: ["orderedList"] },
    { name: "tasks", label: "To-do list", run: (chain) => chain.toggleTaskList(), active: ["taskList"] },
  ],
  [align("left", "Align left"), align("center", "Center"), align("right", "Align right")],
  [
    { name: "quote", label: "Quote", run: (chain) => chain.toggleBlockquote(), active: ["blockquote"] },
    { name: "block", label: "Code block", run: (chain) => chain.toggleCodeBlock(), active: ["codeBlock"] },
    { name: "rule", label: "Dividing line", run: (chain) => chain.setHorizontalRule() },
  ],
];

const TABLE_TOOLS: [TableCommand, string][] = [
  ["addRowBefore", "Row above"],
  ["addRowAfter", "Row below"],
  ["deleteRow", "Delete row"],
  ["addColumnBefore", "Column before"],
  ["addColumnAfter", "Column after"],
  ["deleteColumn", "Delete column"],
  ["mergeOrSplit", "Merge or split cells"],
  ["toggleHeaderRow", "Heading row"],
  ["deleteTable", "Delete table"],
];

const table = (): object => {
  const row = (type: string): object => ({
    type: "tableRow",
    content: Array.from({ length: 3 }, () => ({ type, content: [{ type: "paragraph" }] })),
  });
  return { type: "table", content: [row("tableHeader"), row("tableCell"), row("tableCell")] };
};

export class Toolbar {
  readonly #editor: Editor;
  readonly #place: Place;
  readonly #uploads: Uploads;
  readonly #prompt: Prompt;
  readonly #bar: HTMLElement;
  readonly #buttons = make("div", { class: "buttons", role: "toolbar" });
  readonly #tableRow = make("div", { class: "buttons", role: "toolbar", hidden: "" });
  readonly #updates: (() => void)[] = [];
  #commands: typeof commands | undefined;

  constructor(editor: Editor, place: Place, uploads: Uploads, bar: HTMLElement) {
    this.#editor = editor;
    this.#bar = bar;
    this.#place = place;
    this.#uploads = uploads;
    this.#prompt = new Prompt(place.t, () => editor.commands.focus());
    this.#buttons.setAttribute("aria-label", place.t("Format"));
    this.#tableRow.setAttribute("aria-label", place.t("Table"));
    for (const group of GROUPS) this.#add(this.#buttons, group.map((tool) => this.#toolButton(tool)));
    this.#add(this.#buttons, this.#insertButtons());
    const shadow = bar.getRootNode() as ShadowRoot;
    if (!shadow.adoptedStyleSheets.includes(styles)) shadow.adoptedStyleSheets.push(styles);
    bar.replaceChildren(this.#buttons, this.#tableRow, this.#prompt.form);
    for (const row of [this.#buttons, this.#tableRow]) moveByArrows(row);
    editor.on("transaction", this.update);
    this.update();
  }

  /** Offer what edits tables, once it is there. */
  offerTables(found: typeof commands): void {
    this.#commands = found;
    const buttons = TABLE_TOOLS.map(([name, label]) =>
      this.#button(name, label, () => this.#runTable(name), make("span", { class: "words" }, this.#place.t(label))),
    );
    this.#tableRow.replaceChildren(...buttons);
    this.update();
  }

  destroy(): void {
    this.#bar.replaceChildren();
  }

  readonly update = (): void => {
    this.#tableRow.hidden = !this.#commands || !this.#editor.isActive("table");
    this.#updates.forEach((update) => update());
    for (const row of [this.#buttons, this.#tableRow]) keepStop(row);
  };

  #add(row: HTMLElement, buttons: HTMLElement[]): void {
    row.append(make("span", { class: "group" }, ...buttons));
  }

  #button(name: string, label: string, run: () => void, face: Element = icon(name)): HTMLButtonElement {
    const text = this.#place.t(label);
    const attributes = { type: "button", title: text, "aria-label": text, part: "button", tabindex: "-1" };
    const button = make("button", attributes, face) as HTMLButtonElement;
    // Keeps the focus in the text, and the keyboard of a phone open.
    button.addEventListener("mousedown", (event) => event.preventDefault());
    button.addEventListener("click", run);
    return button;
  }

  #toolButton({ name, label, run, active }: Tool): HTMLElement {
    const editor = this.#editor;
    const button = this.#button(name, label, () => run(editor.chain().focus()).run());
    this.#updates.push(() => {
      button.disabled = !editor.isEditable || !run(editor.can().chain()).run();
      if (active) button.ariaPressed = String(isActive(editor, active));
    });
    return button;
  }

  #insertButtons(): HTMLElement[] {
    const link = this.#button("link", "Link", () => this.#askLink());
    this.#updates.push(() => {
      link.ariaPressed = String(this.#editor.isActive("link"));
    });
    return [
      link,
      this.#button("image", "Image", () => this.#insertImage()),
      this.#button("table", "Table", () => this.#insertTable()),
    ];
  }

  #askLink(): void {
    const { t } = this.#place;
    const editor = this.#editor;
    const before = editor.getAttributes("link")["href"] as string | undefined;
    this.#prompt.ask(t("Address of the link"), before ?? "", (typed) => {
      const href = addressOf(typed);
      const { empty } = editor.state.selection;
      const text = { type: "text", text: typed.trim(), marks: [{ type: "link", attrs: { href } }] };
      if (!typed.trim()) editor.chain().focus().unsetLink().run();
      else if (!isSafe(href)) this.#place.notify(t("Links lead to websites, mailboxes and telephones only."));
      else if (empty && !before) editor.chain().focus().insertContent(text).run();
      else editor.chain().focus().setLink({ href }).run();
    });
  }

  #insertTable(): void {
    const insert = ({ tr, dispatch }: { tr: Transaction; dispatch: unknown }): boolean => {
      if (!dispatch) return true;
      const first = tr.selection.from + 1;
      tr.replaceSelectionWith(this.#editor.schema.nodeFromJSON(table()));
      tr.setSelection(TextSelection.near(tr.doc.resolve(first))).scrollIntoView();
      return true;
    };
    this.#editor.chain().focus().command(insert).run();
  }

  /** Describe the image that is selected, or choose another one. */
  #insertImage(): void {
    const { t } = this.#place;
    const editor = this.#editor;
    if (editor.isActive("image")) {
      const before = editor.getAttributes("image")["alt"] as string | null;
      const describe = (alt: string): void => void editor.chain().focus().updateAttributes("image", { alt }).run();
      this.#prompt.ask(t("Description of the image"), before ?? "", describe);
      return;
    }
    if (this.#uploads.isPossible) {
      this.#chooseImage();
      return;
    }
    this.#prompt.ask(t("Address of the image"), "", (typed) => {
      const src = addressOf(typed);
      if (typed.trim() && isSafe(src)) editor.chain().focus().setImage({ src }).run();
    });
  }

  #chooseImage(): void {
    const input = make("input", { type: "file", accept: "image/*", multiple: "" }) as HTMLInputElement;
    const { to } = this.#editor.state.selection;
    input.addEventListener("change", () => {
      this.#editor.commands.focus();
      void this.#uploads.insert(this.#editor, [...(input.files ?? [])], to);
    });
    input.click();
  }

  #runTable(name: TableCommand): void {
    const { view, commands } = this.#editor;
    commands.focus();
    this.#commands?.[name](view.state, view.dispatch.bind(view));
  }
}

function isActive(editor: Editor, [name, attributes]: NonNullable<Tool["active"]>): boolean {
  return typeof name === "string" ? editor.isActive(name, attributes) : editor.isActive(name);
}

/** Make the Tab key stop at one button of a row. */
function stopAt(row: HTMLElement, button: HTMLButtonElement | null | undefined): void {
  row.querySelectorAll("button").forEach((other) => (other.tabIndex = other === button ? 0 : -1));
}

/** Move the stop of the Tab key from a button that can no longer be used. */
function keepStop(row: HTMLElement): void {
  if (!row.querySelector('button[tabindex="0"]:not(:disabled)')) {
    stopAt(row, row.querySelector("button:not(:disabled)"));
  }
}

/** Make arrows move between the buttons of a row; Tab leaves it. */
function moveByArrows(row: HTMLElement): void {
  const buttons = (): HTMLButtonElement[] => [...row.querySelectorAll("button")].filter(({ disabled }) => !disabled);
  row.addEventListener("focusin", ({ target }) => stopAt(row, (target as Element).closest("button")));
  row.addEventListener("keydown", (event) => {
    const all = buttons();
    const at = all.findIndex((button) => button === event.target);
    const isLeftToRight = getComputedStyle(row).direction === "ltr";
    const steps: Record<string, number> = {
      ArrowRight: at + (isLeftToRight ? 1 : -1),
      ArrowLeft: at + (isLeftToRight ? -1 : 1),
      Home: 0,
      End: -1,
    };
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const next = all.at(step % all.length);
    stopAt(row, next);
    next?.focus();
  });
}
