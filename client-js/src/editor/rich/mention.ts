/** Mentions: the node of Tiptap's own extension. */
import { Node, mergeAttributes } from "@tiptap/core";

type Attributes = Partial<Record<"mentionSuggestionChar" | "label" | "id", string | null>>;

const stored = (name: string, fallback: string | null = null): object => ({
  default: fallback,
  parseHTML: (element: HTMLElement) => element.getAttribute(name),
  renderHTML: (attributes: Record<string, unknown>) => {
    const key = name.replace(/^data-/, "").replace(/-(\w)/g, (_match, letter: string) => letter.toUpperCase());
    const value = attributes[key];
    return value === null || value === undefined || value === "" ? {} : { [name]: value };
  },
});

export const Mention = Node.create({
  name: "mention",
  priority: 101,
  group: "inline",
  inline: true,
  selectable: false,
  atom: true,
  addAttributes: () => ({
    id: stored("data-id"),
    label: stored("data-label"),
    mentionSuggestionChar: stored("data-mention-suggestion-char", "@"),
  }),
  parseHTML: () => [{ tag: 'span[data-type="mention"]' }],
  renderHTML: ({ node, HTMLAttributes }) => [
    "span",
    mergeAttributes({ "data-type": "mention" }, HTMLAttributes),
    textOf(node.attrs),
  ],
  renderText: ({ node }) => textOf(node.attrs),
});

/** Return the text that a mention is shown as. */
const textOf = ({ mentionSuggestionChar, label, id }: Attributes): string =>
  `${mentionSuggestionChar ?? "@"}${label ?? id ?? ""}`;
