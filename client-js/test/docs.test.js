/** Runs samples in docs/client.md against a server, as a page would. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { test } from "node:test";

import { CollabProvider, rows } from "django-collab";
import ts from "typescript";
import { WebSocket } from "ws";
import * as Y from "yjs";

import "./dom.js";
import { address, until } from "./server.js";

const DOCS = await readFile(new URL("../../docs/client.md", import.meta.url), "utf8");
const ALL = [...DOCS.matchAll(/^```(jsx?)\n(.*?)^```$/gms)];
const SAMPLES = ALL.filter((found) => found[2].includes('"boards/1"'));
const [[, , CHAT]] = ALL.filter((found) => found[2].includes('"/ws/chat/"'));

globalThis.WebSocket = WebSocket;
// These tests do not use React's act().
globalThis.IS_REACT_ACT_ENVIRONMENT = false;

/** Run the sample of a language in a page with `html`, with one task there already. */
async function run(t, language, html) {
  document.body.innerHTML = html;
  const room = `board-${language === "jsx" ? 1 : 2}`;
  await once(new WebSocket(`${address("save")}/${room}?now=Sow`), "close");
  const [[, , code]] = SAMPLES.filter((found) => found[1] === language);
  const source = code.replace("wss://example.com/ws", address()).replace("boards/1", room);
  const { provider, tasks } = await load(t, `${source}\nexport { provider, tasks };\n`);
  t.after(() => end(provider));
  await until(() => provider.synced);
  return tasks;
}

/** The exports of a module of this source. */
async function load(t, source) {
  const options = { module: "esnext", target: "es2022", jsx: "react-jsx" };
  // Beside this file, where its packages are found.
  const directory = await mkdtemp(new URL("./sample-", import.meta.url).pathname);
  t.after(() => rm(directory, { recursive: true }));
  const file = `${directory}/sample.js`;
  await writeFile(file, ts.transpileModule(source, { compilerOptions: options }).outputText);
  return import(file);
}

function end(provider) {
  provider.destroy();
  provider.doc.destroy();
}

test("the sample on rows", async (t) => {
  const tasks = await run(t, "js", "<input><output></output>");
  const [input, output] = [document.querySelector("input"), document.querySelector("output")];
  await until(() => tasks.all().size === 2 && input.value === "Buy paint");
  input.value = "";
  input.dispatchEvent(new window.Event("change"));
  await until(() => output.value && input.value === "Buy paint");
  input.value = "Buy blue paint";
  input.dispatchEvent(new window.Event("change"));
  await until(() => output.value === "");
  assert.equal(input.value, "Buy blue paint");
});

test("the sample on React", async (t) => {
  const tasks = await run(t, "jsx", '<div id="board"></div>');
  const board = document.getElementById("board");
  await until(() => board.textContent.includes("Sow") && board.textContent.includes("Saved"));
  const [key] = tasks.all().keys();
  tasks.set(key, { title: "" });
  await until(() => board.querySelector("strong")?.textContent && board.textContent.includes("Sow"));
  board.querySelector("input").click();
  await until(() => board.querySelectorAll("li").length === 0);
  const other = new CollabProvider(address(), "board-1", new Y.Doc(), { disableBc: true });
  t.after(() => end(other));
  await until(() => rows(other, "tasks").get(key)?.done);
  rows(other, "tasks").set(key, { done: false, title: "Sow again" });
  await until(() => board.textContent.includes("Sow again"));
});

test("the sample on live channels", async (t) => {
  document.body.innerHTML = "<input><output></output>";
  const [input, output] = [document.querySelector("input"), document.querySelector("output")];
  const alerts = [];
  globalThis.alert = (text) => alerts.push(text);
  const source = CHAT.replace("/ws/chat/", "").replace("wss://example.com", address("talk/"));
  const { chat } = await load(t, `${source}\nexport { chat };\n`);
  t.after(() => chat.destroy());
  input.dispatchEvent(new window.Event("change"));
  await until(() => output.value === '400: [{"text":["Say something."]}]');
  input.value = "Hello";
  input.dispatchEvent(new window.Event("change"));
  await until(() => output.value === "Message 5");
  assert.match(document.title, /unread/);
  await chat.call("notify", { text: "lunch" });
  await until(() => alerts.includes("lunch"));
});
