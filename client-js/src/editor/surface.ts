/** The part of an editor that shows and edits the text; there is one kind for each `editor`. */
import type { Doc } from "yjs";
import type { Awareness } from "y-protocols/awareness";

import type { Translate } from "../strings.js";

/** The place of a surface, and the content that it edits. */
export interface Place {
  /** In the page, not in a shadow: its styles apply. */
  host: HTMLElement;
  /** In the shadow, for buttons; a version that is only shown has none. */
  bar?: HTMLElement;
  /** The element itself: its attributes are the options. */
  element: HTMLElement;
  doc: Doc;
  awareness: Awareness;
  field: string;
  t: Translate;
  /** Shows a message for a moment. */
  notify: (message: string) => void;
}

export interface Surface {
  /** The rendered value: HTML of a rich text, else the text. */
  readonly value: string;
  setEditable(editable: boolean): void;
  focus(): void;
  destroy(): void;
  /** Colour the letters of a text that does not change any more. */
  showAuthors(letters: Letters): Promise<void>;
}

/** Runs of letters, each with the class of its author, and styles of these classes. */
export interface Letters {
  runs: { text: string; className: string }[];
  sheet: CSSStyleSheet;
}

export type MakeSurface = (place: Place) => Surface;
