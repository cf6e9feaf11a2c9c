/** The toolbar above the text. */
import type { ChainedCommands, Editor } from "@tiptap/core";

interface Tool {
  run: (chain: ChainedCommands) => ChainedCommands;
  /** The mark or node of a button that is on or off. */
  active?: [name: string, attributes?: Record<string, unknown>];
}

const heading = (level: 1 | 2 | 3): Tool => ({
  run: (chain) => chain.toggleHeading({ level }),
  active: ["heading", { level }],
});

/** Tools by the `data-tool` of the buttons in the template. */
const TOOLS: Record<string, Tool> = {
  undo: { run: (chain) => chain.undo() },
  redo: { run: (chain) => chain.redo() },
  heading1: heading(1),
  heading2: heading(2),
  heading3: heading(3),
  bold: { run: (chain) => chain.toggleBold(), active: ["bold"] },
  italic: { run: (chain) => chain.toggleItalic(), active: ["italic"] },
  strike: { run: (chain) => chain.toggleStrike(), active: ["strike"] },
  code: { run: (chain) => chain.toggleCode(), active: ["code"] },
  bullets: { run: (chain) => chain.toggleBulletList(), active: ["bulletList"] },
  numbers: { run: (chain) => chain.toggleOrderedList(), active: ["orderedList"] },
  tasks: { run: (chain) => chain.toggleTaskList(), active: ["taskList"] },
  quote: { run: (chain) => chain.toggleBlockquote(), active: ["blockquote"] },
  block: { run: (chain) => chain.toggleCodeBlock(), active: ["codeBlock"] },
};

export function setUpToolbar(toolbar: HTMLElement | null, editor: Editor): void {
  for (const button of toolbar?.querySelectorAll("button") ?? []) {
    const tool = TOOLS[button.dataset["tool"] ?? ""];
    if (tool) setUpTool(button, tool, editor);
  }
}

function setUpTool(button: HTMLButtonElement, tool: Tool, editor: Editor): void {
  // Keeps the focus in the text, and the keyboard of a phone open.
  button.addEventListener("mousedown", (event) => event.preventDefault());
  button.addEventListener("click", () => tool.run(editor.chain().focus()).run());
  const show = (): void => {
    button.disabled = !editor.isEditable || !tool.run(editor.can().chain()).run();
    if (tool.active) button.ariaPressed = String(editor.isActive(...tool.active));
  };
  editor.on("transaction", show);
  editor.on("update", show);
  show();
}
