/** Rich text: Tiptap. */
import { Editor } from "@tiptap/core";

import { adopt, sheet } from "../frame.js";
import type { Place, Surface } from "../surface.js";
import { extensions } from "./extensions.js";
import richCss from "./rich.css?inline";
import { Toolbar } from "./toolbar.js";
import { Uploads } from "./uploads.js";

const styles = sheet(richCss);

export function makeSurface(place: Place): Surface {
  const { host, bar, element, t } = place;
  adopt(styles);
  const uploads = new Uploads(place);
  const tables = new FirstTable();
  const editor = new Editor({
    element: host,
    injectCSS: false,
    editable: false,
    extensions: [...extensions(place, () => tables.resolve()), uploads.extension()],
    editorProps: {
      handleDOMEvents: { keydown: leaveAfterEscape() },
      attributes: {
        role: "textbox",
        "aria-multiline": "true",
        "aria-label": element.getAttribute("label") ?? t("Text"),
      },
    },
  });
  const toolbar =
    bar && !element.hasAttribute("no-toolbar") ? new Toolbar(editor, place, uploads, bar) : undefined;
  void tables.shown.then(async () => {
    const { commands, editTables } = await import("./table-editing.js");
    if (editor.isDestroyed) return;
    editTables(editor);
    toolbar?.offerTables(commands);
  });
  return {
    showAuthors: async (letters) => (await import("./authors.js")).showAuthors(editor, letters),
    get value() {
      return editor.isEmpty ? "" : editor.getHTML();
    },
    // The second argument: nothing of the text has changed.
    setEditable: (editable) => {
      editor.setEditable(editable, false);
      toolbar?.update();
    },
    focus: () => editor.commands.focus(),
    destroy: () => {
      toolbar?.destroy();
      editor.destroy();
    },
  };
}

/** Make Tab leave the text after Escape, as in code; in lists and tables it has another meaning. */
function leaveAfterEscape(): (view: unknown, event: KeyboardEvent) => boolean {
  let isLeaving = false;
  return (_view, { key }) => {
    const leaves = isLeaving && key === "Tab";
    isLeaving = key === "Escape" || (isLeaving && key === "Shift");
    return leaves;
  };
}

/** Resolves once there is a table. */
class FirstTable {
  resolve!: () => void;
  readonly shown = new Promise<void>((resolve) => (this.resolve = resolve));
}
