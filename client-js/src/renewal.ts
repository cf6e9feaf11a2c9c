import { CloseCode } from "./wire.js";

/** Pauses before connecting again after 4401, in milliseconds. */
const PAUSES = [1000, 2500];

/**
 * Attempts after 4401 of a connection that the server had accepted.
 *
 * Its session or token may have been renewed meanwhile, as by a changed password, and the browser
 * may get the new cookie a moment later.
 */
export class SessionRenewal {
  #attempts = PAUSES.length;

  /** The server has accepted the connection. */
  accept(): void {
    this.#attempts = 0;
  }

  /** Return the pause before the next attempt; undefined if the refusal is final. */
  pauseAfter(code: number): number | undefined {
    if (code !== CloseCode.UNAUTHENTICATED) return undefined;
    const pause = PAUSES[this.#attempts];
    this.#attempts += 1;
    return pause;
  }
}
