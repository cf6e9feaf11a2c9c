/** The value of an editor in the form that it is in. */
import type { Doc } from "yjs";

import type { Surface } from "./surface.js";

export type Control = HTMLInputElement | HTMLTextAreaElement;

/** Least time between two values of a control, in milliseconds. */
const INTERVAL = 100;

interface Kept {
  element: HTMLElement;
  /** Without one, only events follow the value. */
  control: Control | null;
  surface: Surface;
  doc: Doc;
  /** Ends it. */
  signal: AbortSignal;
}

/** Keep a control equal to the value of an editor, and send the last letters with its form. */
export function keepValue({ element, control, surface, doc, signal }: Kept): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const write = (): void => {
    timer = undefined;
    if (control) control.value = surface.value;
    element.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const follow = (): void => {
    timer ??= setTimeout(write, INTERVAL);
  };
  const renew = ({ target }: Event): void => {
    if (control && target === control.form) control.value = surface.value;
  };
  const send = (event: FormDataEvent): void => {
    renew(event);
    const { target, formData } = event;
    if (control && target === control.form && formData.has(control.name)) formData.set(control.name, control.value);
  };
  doc.on("update", follow);
  // Events of a form do not leave the shadow tree that it is in.
  const root = element.getRootNode();
  // Some scripts read the controls of a form that is sent, and not its data.
  root.addEventListener("submit", renew, { capture: true, signal });
  root.addEventListener("formdata", send as EventListener, { signal });
  signal.addEventListener("abort", () => {
    clearTimeout(timer);
    doc.off("update", follow);
  });
}
