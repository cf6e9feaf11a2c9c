/** The published clients of both generations of Yjs, in one shape. */
import { WebsocketProvider as ProviderOf4 } from "@y/websocket";
import * as Y14 from "@y/y";
import { WebSocket } from "ws";
import { WebsocketProvider as ProviderOf3 } from "y-websocket";
import * as Y13 from "yjs";

import { address } from "../../client-js/test/server.js";

const OPTIONS = { WebSocketPolyfill: WebSocket, disableBc: true, maxBackoffTime: 100 };

class Client {
  constructor(t, provider, text) {
    this.provider = provider;
    this.root = text;
    t.after(() => this.end());
  }

  get text() {
    return this.root.toString();
  }

  write(string) {
    this.root.insert(this.root.length, string);
  }

  /** The name of a client of the same room, as seen from here. */
  nameOf(other) {
    return this.provider.awareness.getStates().get(other.provider.awareness.clientID)?.user?.name;
  }

  end() {
    this.provider.destroy();
    // And with it the timer of the presence.
    this.provider.awareness.destroy();
  }
}

export const y3 = {
  name: "y-websocket 3",
  open(t, room, route = "ws", options = {}) {
    const doc = new Y13.Doc();
    const provider = new ProviderOf3(address(route), room, doc, { ...OPTIONS, ...options });
    return new Client(t, provider, doc.getText("text"));
  },
};

export const y4 = {
  name: "y-websocket 4",
  open(t, room, route = "echoing") {
    const doc = new Y14.Doc();
    return new Client(t, new ProviderOf4(address(route), room, doc, OPTIONS), doc.get("text"));
  },
};
