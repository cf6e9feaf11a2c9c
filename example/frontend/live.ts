/** The status of a live channel, in a word. */
import type { LiveChannel } from "django-collab/live";

export function showConnection<R extends object>(element: HTMLElement, channel: LiveChannel<R>): void {
  const show = (): void => {
    const state = channel.ended ? "closed" : channel.connected ? "saved" : "offline";
    element.dataset["state"] = state;
    element.textContent = channel.ended?.reason ?? (channel.connected ? "Live" : "Connecting…");
  };
  channel.observe(show);
  show();
}
