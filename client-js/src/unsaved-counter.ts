import { MessageType, SyncType } from "./wire.js";

interface Entry {
  /** Number of the update frame on this connection, from 1. */
  frame: number;
  /** Number of local updates in the frame. */
  updates: number;
}

/**
 * Counts local updates that are not stored yet.
 *
 * The server confirms how many of a connection's update frames are durable. Unconfirmed updates of
 * an ended connection count as unsent until the next one's SyncStep2 includes them.
 */
export class UnsavedCounter {
  /** Update frames sent on this connection. */
  sent = 0;
  /** Number of these frames that are durable. */
  saved = 0;
  #unsent = 0;
  #waiting: Entry[] = [];

  /** Number of local updates that the server did not confirm as stored. */
  get unsaved(): number {
    return this.#waiting.reduce((sum, entry) => sum + entry.updates, this.#unsent);
  }

  /** Count a local update that was not sent. */
  keep(): void {
    this.#unsent += 1;
  }

  /**
   * Count a sent frame, if it has updates.
   *
   * @param isLast - false for a part of an update that is followed by others.
   */
  send(frame: Uint8Array, isLast = true): void {
    // Both numbers are varuints below 128: one byte each.
    if (frame[0] !== MessageType.SYNC || frame[1] === SyncType.STEP1) return;
    this.sent += 1;
    this.#waiting.push({ frame: this.sent, updates: isLast ? this.#carried(frame) : 0 });
  }

  #carried(frame: Uint8Array): number {
    if (frame[1] === SyncType.UPDATE) return 1;
    const carried = this.#unsent;
    this.#unsent = 0;
    return carried;
  }

  /** Confirm the first `count` update frames of this connection as durable. */
  confirm(count: number): void {
    this.saved = count;
    this.#waiting = this.#waiting.filter((entry) => entry.frame > count);
  }

  /** Count all unconfirmed updates as unsent: the server's next SyncStep1 asks for them. */
  retry(): void {
    this.#unsent = this.unsaved;
    this.#waiting = [];
  }

  /** Start over after the end of a connection. */
  reset(): void {
    this.retry();
    this.sent = this.saved = 0;
  }
}
