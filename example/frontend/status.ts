/** The status of saving, in a word. */
import { CloseCode, type CollabProvider } from "django-collab";

type State =
  | "connecting"
  | "offline"
  | "closed"
  | "reading"
  | "saving"
  | "saved"
  | "refused"
  | "outdated";

const TEXTS: Record<Exclude<State, "closed">, string> = {
  connecting: "Connecting…",
  offline: "Offline",
  reading: "Read only",
  saving: "Saving…",
  saved: "Saved",
  refused: "Too large to be saved",
  outdated: "Reload this page to edit",
};

const HINTS: Partial<Record<State, string>> = {
  offline: "Your changes are kept in this browser, and sent when the server is back.",
  saving: "The server has not confirmed all changes yet.",
  saved: "The server has stored all changes.",
  outdated: "The server has a newer version of this page.",
  refused: "Your changes are kept in this browser. Make the page shorter and reload it.",
};

/** Keep `element` up to date; the style depends on its attribute `data-state`. */
export function showStatus(element: HTMLElement, provider: CollabProvider): void {
  let reason = "";
  let isTooLarge = false;
  let isOutdated = false;
  let wasConnected = false;
  const show = (): void => {
    wasConnected ||= provider.synced;
    const current = isTooLarge ? "refused" : currentState(provider, wasConnected);
    const open = isOutdated ? "outdated" : current;
    const state = reason ? "closed" : open;
    element.dataset["state"] = state;
    element.textContent = state === "closed" ? reason : TEXTS[state];
    element.title = HINTS[state] ?? "";
  };
  provider.on("status", ({ status }) => {
    if (status === "connected") {
      reason = "";
      isTooLarge = false;
    }
    show();
  });
  provider.on("upgrade", () => {
    isOutdated = true;
    show();
  });
  provider.on("sync", show);
  provider.on("unsaved", show);
  provider.on("access", show);
  provider.on("closed", ({ code, reason: given }) => {
    isTooLarge = code === CloseCode.TOO_BIG;
    if (!isTooLarge) reason = given || "This page is closed to you.";
    show();
  });
  show();
}

function currentState(provider: CollabProvider, wasConnected: boolean): Exclude<State, "closed"> {
  if (!provider.synced) return wasConnected ? "offline" : "connecting";
  if (provider.access === "read") return "reading";
  return provider.unsaved > 0 ? "saving" : "saved";
}
