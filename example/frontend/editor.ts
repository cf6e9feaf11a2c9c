/** The page with the text: an editor, and the state of its provider. */
import { client, connect, createProvider, isDenied } from "./client.js";
import { showPeople } from "./people.js";
import { setUpShare } from "./share.js";
import { showStatus } from "./status.js";
import { createEditor } from "./text.js";
import { setUpTitle } from "./title.js";
import { setUpToolbar } from "./toolbar.js";

const provider = createProvider("/ws");
const { doc } = provider;

const [text, notice] = [document.getElementById("text")!, document.getElementById("notice")!];
const editor = createEditor(text, doc, provider, client.me, notice);
editor.setEditable(!client.share);
provider.on("access", (access) => editor.setEditable(access === "write"));
provider.on("closed", ({ code }) => isDenied(code) && editor.setEditable(false));

showStatus(document.getElementById("status")!, provider);
showPeople(document.getElementById("people")!, provider.awareness);
setUpToolbar(document.getElementById("toolbar"), editor);
setUpTitle(document.getElementById("title"), doc, editor);
setUpShare(document.getElementById("share"));

connect(provider, `pages/${client.room}`);
