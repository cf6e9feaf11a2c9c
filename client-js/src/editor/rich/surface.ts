/** Rich text: Tiptap. */
import { Editor } from "@tiptap/core";

import { adopt, sheet } from "../frame.js";
import type { Place, Surface } from "../surface.js";
import { extensions } from "./extensions.js";
import richCss from "./rich.css?inline";

const styles = sheet(richCss);

export function makeSurface(place: Place): Surface {
  const { host, element, t } = place;
  adopt(styles);
  const editor = new Editor({
    element: host,
    injectCSS: false,
    extensions: extensions(place),
    editorProps: {
      attributes: {
        role: "textbox",
        "aria-multiline": "true",
        "aria-label": element.getAttribute("label") ?? t("Text"),
      },
    },
  });
  return {
    get value() {
      return editor.getHTML();
    },
    setEditable: (editable) => editor.setEditable(editable),
    focus: () => editor.commands.focus(),
    destroy: () => editor.destroy(),
  };
}
