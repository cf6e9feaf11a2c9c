import { MessageType, SyncType } from "./wire.js";

interface Entry {
  /** The how-many-eth update frame of the connection it was. */
  frame: number;
  /** How many local updates the frame carries. */
  updates: number;
}

/**
 * Counts the local updates that are not stored yet.
 *
 * The server tells how many of a connection's update frames are durable. What a connection took
 * along when it ended counts as unsent again, until the SyncStep2 of the next one carries it.
 */
export class Ledger {
  /** Update frames sent on this connection. */
  sent = 0;
  /** How many of them are durable. */
  saved = 0;
  #unsent = 0;
  #waiting: Entry[] = [];

  /** Local updates that the server did not confirm as stored. */
  get unsaved(): number {
    return this.#waiting.reduce((sum, entry) => sum + entry.updates, this.#unsent);
  }

  /** A local update was made that no frame carries yet. */
  keep(): void {
    this.#unsent += 1;
  }

  /** `frame` goes out; frames that carry no updates are of no interest. */
  send(frame: Uint8Array): void {
    // Both numbers are varuints below 128: one byte each.
    if (frame[0] !== MessageType.SYNC || frame[1] === SyncType.STEP1) return;
    this.sent += 1;
    this.#waiting.push({ frame: this.sent, updates: this.#carried(frame) });
  }

  #carried(frame: Uint8Array): number {
    if (frame[1] === SyncType.UPDATE) return 1;
    const carried = this.#unsent;
    this.#unsent = 0;
    return carried;
  }

  /** The first `count` update frames of this connection are durable. */
  confirm(count: number): void {
    this.saved = count;
    this.#waiting = this.#waiting.filter((entry) => entry.frame > count);
  }

  /** The server takes updates again: what it refused meanwhile, its next SyncStep1 asks for. */
  retry(): void {
    this.#unsent = this.unsaved;
    this.#waiting = [];
  }

  /** The connection ended. */
  reset(): void {
    this.retry();
    this.sent = this.saved = 0;
  }
}
