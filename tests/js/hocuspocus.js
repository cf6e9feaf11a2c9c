/** The published providers of Hocuspocus, in one shape, and its own server beside ours. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as provider4 from "@hocuspocus/provider";
import * as provider2 from "hocuspocus-provider-2";
import * as provider3 from "hocuspocus-provider-3";
import * as decoding from "lib0/decoding";
import * as encoding from "lib0/encoding";
import { WebSocket } from "ws";
import * as Y from "yjs";

import { address, tell, until } from "../../client-js/test/server.js";

export const VERSIONS = [
  ["4.8", provider4],
  ["3.4.4", provider3],
  ["2.15.3", provider2],
];

/** Ports that no other process gets, also while none of these servers runs. */
const PORTS = (process.env.COLLAB_TEST_PORTS ?? "").split(",");

/** Our server, which runs for all tests. */
export const ours = {
  name: "django-collab",
  get url() {
    return address("hocuspocus");
  },
  kill: () => tell("kill"),
  stop: () => tell("stop"),
  start: () => tell("start"),
};

/** Hocuspocus' own, in a process of its own; `start` it first. */
export const theirs = {
  name: "Hocuspocus",
  /** Milliseconds of a client without a document, or without an answer. */
  timeout: 60_000,
  async start() {
    this.directory ??= await mkdtemp(join(tmpdir(), "hocuspocus-"));
    this.port ??= PORTS.shift();
    this.process = fork(new URL("hocuspocus-server.js", import.meta.url), [
      String(this.port),
      this.directory,
      String(this.timeout),
    ]);
    await once(this.process, "message");
  },
  get url() {
    return `ws://127.0.0.1:${this.port}`;
  },
  kill() {
    return this.end("SIGKILL");
  },
  stop() {
    return this.end("SIGTERM");
  },
  async end(signal) {
    const ended = once(this.process, "exit");
    this.process.kill(signal);
    await ended;
  },
  async remove() {
    await this.kill();
    await rm(this.directory, { recursive: true });
  },
};

/** A websocket whose errors nobody needs to hear; providers leave some to nobody. */
class PatientSocket extends WebSocket {
  constructor(url) {
    super(url);
    this.on("error", () => {});
  }
}

/** A websocket of one version's providers; it ends with the test. */
export function openSocket(t, [, { HocuspocusProviderWebsocket }], url, options = {}) {
  const socket = new HocuspocusProviderWebsocket({
    url,
    WebSocketPolyfill: PatientSocket,
    delay: 50,
    minDelay: 50,
    maxDelay: 200,
    ...options,
  });
  t.after(() => socket.destroy());
  return socket;
}

/** A document of one version's providers; it ends with the test. */
export function openDocument(t, version, websocketProvider, name, options = {}) {
  const document = new Y.Doc();
  const provider = new version[1].HocuspocusProvider({
    websocketProvider,
    name,
    document,
    token: "writer",
    ...options,
  });
  provider.heard = { stateless: [], refusals: [], closes: [], scopes: [] };
  provider.on("stateless", ({ payload }) => provider.heard.stateless.push(payload));
  provider.on("authenticationFailed", ({ reason }) => provider.heard.refusals.push(reason));
  provider.on("close", ({ event }) => provider.heard.closes.push(event.reason));
  provider.on("authenticated", () => provider.heard.scopes.push(provider.authorizedScope));
  // Version 2 attaches by itself.
  provider.attach?.();
  t.after(() => provider.destroy());
  return provider;
}

export const textOf = (provider) => provider.document.getText("text").toString();

export function write(provider, string) {
  const text = provider.document.getText("text");
  text.insert(text.length, string);
}

export const isStored = (provider) => provider.synced && provider.unsyncedChanges === 0;

export const nameOf = (provider, other) =>
  provider.awareness.getStates().get(other.document.clientID)?.user?.name;

/** A client that sends and receives bytes. */
export async function openRaw(t, url) {
  const socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  socket.frames = [];
  socket.on("message", (data) => socket.frames.push(new Uint8Array(data)));
  socket.on("close", (code) => (socket.closeCode = code));
  t.after(() => socket.terminate());
  await once(socket, "open");
  socket.sendTo = (name, ...parts) => socket.send(frame(name, ...parts));
  socket.hears = (name, type) => socket.frames.some((each) => isFrame(each, name, type));
  return socket;
}

/** Encode numbers, texts, and bytes with their length. */
export function frame(...parts) {
  const encoder = encoding.createEncoder();
  for (const part of parts) {
    if (typeof part === "number") encoding.writeVarUint(encoder, part);
    else if (typeof part === "string") encoding.writeVarString(encoder, part);
    else encoding.writeVarUint8Array(encoder, part);
  }
  return encoding.toUint8Array(encoder);
}

function isFrame(bytes, name, [type, value]) {
  const decoder = decoding.createDecoder(bytes);
  if (bytes.length < 2 || decoding.readVarString(decoder) !== name) return false;
  if (decoding.readVarUint(decoder) !== type) return false;
  return value === undefined || decoding.readVarUint(decoder) === value;
}

/** Open a document as a raw client. */
export async function attachRaw(socket, name, token = "writer") {
  socket.sendTo(name, 2, 0, token);
  await until(() => socket.hears(name, [2, 2]));
}
