/** The status of a document, in a word. */
import type { CollabProvider } from "../provider.js";
import { CloseCode } from "../wire.js";

export type State =
  | "connecting"
  | "offline"
  | "closed"
  | "reading"
  | "saving"
  | "saved"
  | "refused";

export interface Status {
  state: State;
  /** What the server said when it closed the document. */
  reason: string;
}

export const LABELS: Record<State, string> = {
  connecting: "Connecting…",
  offline: "Offline",
  closed: "Closed",
  reading: "Read only",
  saving: "Saving…",
  saved: "Saved",
  refused: "Too large to be saved",
};

export const HINTS: Partial<Record<State, string>> = {
  offline: "Your changes are kept in this browser and sent when the server is back.",
  saving: "The server has not confirmed all changes yet.",
  saved: "The server has stored all changes.",
  refused: "Your changes are kept in this browser. Make the text shorter and reload the page.",
};

/** Follows the events of a provider, and calls `show` whenever the status may have changed. */
export class StatusWatch {
  #reason: string | undefined;
  #isTooLarge = false;
  #wasConnected = false;
  readonly #provider: CollabProvider;
  readonly #show: (status: Status) => void;

  constructor(provider: CollabProvider, show: (status: Status) => void) {
    this.#provider = provider;
    this.#show = show;
    provider.on("status", this.#onStatus);
    provider.on("closed", this.#onClosed);
    for (const event of ["sync", "unsaved", "access"] as const) provider.on(event, this.#update);
    this.#update();
  }

  destroy(): void {
    this.#provider.off("status", this.#onStatus);
    this.#provider.off("closed", this.#onClosed);
    for (const event of ["sync", "unsaved", "access"] as const) this.#provider.off(event, this.#update);
  }

  readonly #onStatus = ({ status }: { status: string }): void => {
    if (status === "connected") {
      this.#reason = undefined;
      this.#isTooLarge = false;
    }
    this.#update();
  };

  readonly #onClosed = ({ code, reason }: { code: number; reason: string }): void => {
    this.#isTooLarge = code === CloseCode.TOO_BIG;
    if (!this.#isTooLarge) this.#reason = reason;
    this.#update();
  };

  readonly #update = (): void => {
    this.#wasConnected ||= this.#provider.synced;
    this.#show({ state: this.#state(), reason: this.#reason ?? "" });
  };

  #state(): State {
    const { synced, access, unsaved } = this.#provider;
    if (this.#reason !== undefined) return "closed";
    if (this.#isTooLarge) return "refused";
    if (!synced) return this.#wasConnected ? "offline" : "connecting";
    if (access === "read") return "reading";
    return unsaved > 0 ? "saving" : "saved";
  }
}
