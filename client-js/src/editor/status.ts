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
  | "refused"
  | "outdated";

export interface Status {
  state: State;
  /** The server's reason for closing the document. */
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
  outdated: "Reload the page",
};

export const HINTS: Partial<Record<State, string>> = {
  offline: "Your changes are kept in this browser and sent when the server is back.",
  refused: "Your changes are kept in this browser. Make the text shorter and reload the page.",
};

const UPDATES = ["sync", "unsaved", "access"] as const;

/** Follows the events of a provider, and calls `show` whenever the status may have changed. */
export class StatusWatch {
  #reason: string | undefined;
  #isTooLarge = false;
  #isOutdated = false;
  #wasConnected = false;
  readonly #provider: CollabProvider;
  readonly #show: (status: Status) => void;

  constructor(provider: CollabProvider, show: (status: Status) => void) {
    this.#provider = provider;
    this.#show = show;
    provider.on("status", this.#onStatus);
    provider.on("closed", this.#onClosed);
    provider.on("upgrade", this.#onUpgrade);
    for (const event of UPDATES) provider.on(event, this.#update);
    this.#update();
  }

  destroy(): void {
    this.#provider.off("status", this.#onStatus);
    this.#provider.off("closed", this.#onClosed);
    this.#provider.off("upgrade", this.#onUpgrade);
    for (const event of UPDATES) this.#provider.off(event, this.#update);
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

  readonly #onUpgrade = (): void => {
    this.#isOutdated = true;
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
    if (this.#isOutdated) return "outdated";
    if (!synced) return this.#wasConnected ? "offline" : "connecting";
    if (access !== undefined && access !== "write") return "reading";
    return unsaved > 0 ? "saving" : "saved";
  }
}
