/** The colours of code, light and dark, by the variables of the page. */
import { HighlightStyle } from "@codemirror/language";
import { EditorView } from "@codemirror/view";
import { tags } from "@lezer/highlight";

export const theme = EditorView.theme({
  "&": { height: "100%", minHeight: "var(--collab-min-height, 8rem)", color: "var(--_text)" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": {
    font: "0.875rem/1.6 ui-monospace, Menlo, Consolas, monospace",
    minHeight: "inherit",
  },
  ".cm-content": { padding: "var(--collab-padding, 1rem)", caretColor: "var(--_text)" },
  ".cm-line": { padding: "0" },
  ".cm-gutters": { border: "0", background: "none", color: "var(--_muted)" },
  ".cm-placeholder": { color: "var(--_muted)" },
  ".cm-collab-caret": {
    position: "relative",
    borderInlineStart: "2px solid",
    marginInline: "-1px",
    pointerEvents: "none",
  },
  ".cm-collab-name": {
    position: "absolute",
    zIndex: "1",
    insetBlockEnd: "100%",
    insetInlineStart: "-2px",
    borderRadius: "0.25rem",
    padding: "0 0.4em",
    color: "#fff",
    font: "600 0.6875rem/1.5 var(--collab-font, system-ui, sans-serif)",
    whiteSpace: "nowrap",
    userSelect: "none",
  },
  // Above the first line there is no room.
  ".cm-line:first-child .cm-collab-name": { insetBlockEnd: "auto", insetBlockStart: "100%" },
});

const both = (light: string, dark: string): string => `light-dark(${light}, ${dark})`;

export const colours = HighlightStyle.define([
  { tag: [tags.keyword, tags.operatorKeyword, tags.modifier], color: both("#9d174d", "#f9a8d4") },
  { tag: [tags.string, tags.special(tags.string), tags.regexp], color: both("#166534", "#86efac") },
  { tag: [tags.number, tags.bool, tags.null, tags.atom], color: both("#9a3412", "#fdba74") },
  { tag: [tags.comment, tags.quote, tags.meta], color: "var(--_muted)", fontStyle: "italic" },
  { tag: [tags.function(tags.variableName), tags.tagName], color: both("#1d4ed8", "#93c5fd") },
  { tag: [tags.className, tags.typeName, tags.attributeName], color: both("#6d28d9", "#c4b5fd") },
  { tag: tags.heading, fontWeight: "700" },
  { tag: tags.strong, fontWeight: "700" },
  { tag: tags.emphasis, fontStyle: "italic" },
  { tag: tags.strikethrough, textDecoration: "line-through" },
  { tag: [tags.link, tags.url], color: "var(--_accent)" },
]);
