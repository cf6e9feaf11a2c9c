/** One word on how safe the text is. */
import type { CollabProvider } from "django-collab";

type State = "connecting" | "offline" | "closed" | "reading" | "saving" | "saved";

const TEXTS: Record<Exclude<State, "closed">, string> = {
  connecting: "Connecting…",
  offline: "Offline",
  reading: "Read only",
  saving: "Saving…",
  saved: "Saved",
};

const HINTS: Partial<Record<State, string>> = {
  offline: "What you write is kept in this browser, and sent when the server is back.",
  saving: "The server has not confirmed yet that all is stored.",
  saved: "The server has stored all of it.",
};

/** Keep `element` up to date; its attribute `data-state` is what the style depends on. */
export function showStatus(element: HTMLElement, provider: CollabProvider): void {
  let reason = "";
  let wasConnected = false;
  const show = (): void => {
    wasConnected ||= provider.synced;
    const state = reason ? "closed" : currentState(provider, wasConnected);
    element.dataset["state"] = state;
    element.textContent = state === "closed" ? reason : TEXTS[state];
    element.title = HINTS[state] ?? "";
  };
  provider.on("status", ({ status }) => {
    if (status === "connected") reason = "";
    show();
  });
  provider.on("sync", show);
  provider.on("unsaved", show);
  provider.on("access", show);
  provider.on("closed", (event) => {
    reason = event.reason || "This page is closed to you.";
    show();
  });
  show();
}

function currentState(provider: CollabProvider, wasConnected: boolean): Exclude<State, "closed"> {
  if (!provider.synced) return wasConnected ? "offline" : "connecting";
  if (provider.access === "read") return "reading";
  return provider.unsaved > 0 ? "saving" : "saved";
}
