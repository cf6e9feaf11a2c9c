/** The edits that the release candidate of y-websocket 4 reports as saved. */
import * as Y from "@y/y";
import * as decoding from "lib0/decoding";

const SYNC = 0;
const STEP1 = 0;

/**
 * Reports whether all local updates came back from the server.
 *
 * The packages published under the version 4 do not all have the status that its documentation
 * describes, so its rule is here: a local change is confirmed when an update with its ids arrives.
 */
export class SyncStatus {
  #open = [];

  constructor(provider) {
    provider.doc.on("update", (update, origin) => {
      if (origin !== provider) this.#open.push(Y.createContentIdsFromUpdate(update));
    });
    const receive = provider.messageHandlers[SYNC];
    provider.messageHandlers[SYNC] = (encoder, decoder, ...rest) => {
      const copy = decoding.createDecoder(decoder.arr.subarray(decoder.pos));
      receive(encoder, decoder, ...rest);
      if (decoding.readVarUint(copy) !== STEP1) this.#confirm(decoding.readVarUint8Array(copy));
    };
  }

  get saved() {
    return this.#open.length === 0;
  }

  #confirm(update) {
    const confirmed = Y.createContentIdsFromUpdate(update);
    this.#open = this.#open
      .map((ids) => Y.excludeContentIds(ids, confirmed))
      .filter((ids) => !ids.inserts.isEmpty() || !ids.deletes.isEmpty());
  }
}
