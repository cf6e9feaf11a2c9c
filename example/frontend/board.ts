/** The page with the board: rows of the server's database as cards that all users move. */
import { rows } from "django-collab";

import { setUpAdding } from "./board/add.js";
import { Cards } from "./board/cards.js";
import { setUpDragging } from "./board/drag.js";
import { showHolders } from "./board/holders.js";
import { setUpKeys } from "./board/keys.js";
import { showNotices } from "./board/notices.js";
import { setUpSheet } from "./board/sheet.js";
import type { Task } from "./board/tasks.js";
import { client, connect, createProvider, isDenied } from "./client.js";
import { showPeople } from "./people.js";
import { setUpShare } from "./share.js";
import { showStatus } from "./status.js";

const provider = createProvider("/ws/boards");
const tasks = rows<Task>(provider, "tasks");
const element = document.getElementById("board")!;
const cards = new Cards(element, tasks);

const allow = (isWritable: boolean): void => {
  document.body.classList.toggle("reading", !isWritable);
  cards.isWritable = isWritable;
};
allow(!client.share);
provider.on("access", (access) => allow(access === "write"));
provider.on("closed", ({ code }) => isDenied(code) && allow(false));

setUpDragging(element, cards, tasks, provider.awareness);
setUpKeys(element, cards, tasks);
setUpSheet(element, cards, tasks, provider.awareness);
setUpAdding(element.querySelector("form"), tasks);

showHolders(cards, provider.awareness);
showNotices(document.getElementById("notices")!, tasks);
showStatus(document.getElementById("status")!, provider);
showPeople(document.getElementById("people")!, provider.awareness);
setUpShare(document.getElementById("share"));

connect(provider, `boards/${client.room}`);
