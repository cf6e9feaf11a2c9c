/** The page with the text: what is around its editor, which is the element `<collab-editor>`. */
import type { Doc } from "yjs";

import { setUpShare } from "./share.js";
import { setUpTitle } from "./title.js";

/** The part of the element that the page uses. */
interface Editor extends HTMLElement {
  readonly connection: { readonly doc: Doc };
}

await customElements.whenDefined("collab-editor");
const editor = document.querySelector<Editor>("collab-editor")!;

setUpTitle(document.getElementById("title"), editor.connection.doc, editor);
setUpShare(document.getElementById("share"));
