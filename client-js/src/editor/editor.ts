/** The script of a page: defines `<collab-editor>`. */
import { CollabEditor } from "./element.js";

// Each page of an HTMX site may load the script again.
if (!customElements.get("collab-editor")) customElements.define("collab-editor", CollabEditor);
