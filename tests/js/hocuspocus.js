/** The published providers of Hocuspocus, in one shape, and its own server. */
import * as provider4 from "@hocuspocus/provider";
import * as provider2 from "hocuspocus-provider-2";
import * as provider3 from "hocuspocus-provider-3";
import { WebSocket } from "ws";
import * as Y from "yjs";

export const VERSIONS = [
  ["4.8", provider4],
  ["3.4.4", provider3],
  ["2.15.3", provider2],
];

/** A websocket of one version's providers; it ends with the test. */
export function openSocket(t, [, { HocuspocusProviderWebsocket }], url, options = {}) {
  const socket = new HocuspocusProviderWebsocket({
    url,
    WebSocketPolyfill: WebSocket,
    delay: 50,
    minDelay: 50,
    maxDelay: 200,
    ...options,
  });
  t.after(() => socket.destroy());
  return socket;
}

/** A document of one version's providers; it ends with the test. */
export function openDocument(t, version, websocketProvider, name, token = "writer", options = {}) {
  const document = new Y.Doc();
  const provider = new version[1].HocuspocusProvider({
    websocketProvider,
    name,
    document,
    token,
    ...options,
  });
  provider.heard = { stateless: [], refusals: [], closes: [], scopes: [] };
  provider.on("stateless", ({ payload }) => provider.heard.stateless.push(payload));
  provider.on("authenticationFailed", ({ reason }) => provider.heard.refusals.push(reason));
  provider.on("close", ({ event }) => provider.heard.closes.push(event.reason));
  provider.on("authenticated", (event) => provider.heard.scopes.push(event?.scope));
  if (!provider.isAttached) provider.attach?.();
  t.after(() => provider.destroy());
  return provider;
}

export const textOf = (provider) => provider.document.getText("text").toString();

export function write(provider, string) {
  const text = provider.document.getText("text");
  text.insert(text.length, string);
}

export const isStored = (provider) => provider.synced && provider.unsyncedChanges === 0;
