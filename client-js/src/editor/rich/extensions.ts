/** The nodes and marks of the server's schema `TIPTAP`, and the shared document below them. */
import type { Extensions } from "@tiptap/core";
import { Blockquote } from "@tiptap/extension-blockquote";
import { Bold } from "@tiptap/extension-bold";
import { Code } from "@tiptap/extension-code";
import { CodeBlock } from "@tiptap/extension-code-block";
import { Collaboration } from "@tiptap/extension-collaboration";
import { Document } from "@tiptap/extension-document";
import { HardBreak } from "@tiptap/extension-hard-break";
import { Heading } from "@tiptap/extension-heading";
import { Highlight } from "@tiptap/extension-highlight";
import { HorizontalRule } from "@tiptap/extension-horizontal-rule";
import { Image } from "@tiptap/extension-image";
import { Italic } from "@tiptap/extension-italic";
import {
  BulletList,
  ListItem,
  ListKeymap,
  OrderedList,
  TaskItem,
  TaskList,
} from "@tiptap/extension-list";
import { Paragraph } from "@tiptap/extension-paragraph";
import { Strike } from "@tiptap/extension-strike";
import { Text } from "@tiptap/extension-text";
import { TextAlign } from "@tiptap/extension-text-align";
import { Underline } from "@tiptap/extension-underline";
import { Dropcursor } from "@tiptap/extensions/drop-cursor";
import { Gapcursor } from "@tiptap/extensions/gap-cursor";
import { Placeholder } from "@tiptap/extensions/placeholder";

import type { Place } from "../surface.js";
import { carets } from "./carets.js";
import { Focus } from "./focus.js";
import { Link } from "./link.js";
import { Mention } from "./mention.js";
import { mentions } from "./mentions.js";
import { tables } from "./tables.js";
import { Updates } from "./updates.js";

/** In the order of Tiptap's own kit, by which marks are sorted. */
const NODES_AND_MARKS: Extensions = [
  Bold,
  Blockquote,
  BulletList,
  Code,
  CodeBlock,
  Document,
  HardBreak,
  Heading,
  HorizontalRule,
  Italic,
  ListItem,
  ListKeymap,
  Link,
  OrderedList,
  Paragraph,
  Strike,
  Text,
  Underline,
  TaskList,
  TaskItem.configure({ nested: true }),
];

/**
 * @param onTable - called for each table that is shown.
 */
export function extensions(place: Place, onTable: () => void): Extensions {
  const { element, doc, awareness, field } = place;
  const people = element.getAttribute("mentions-url");
  return [
    ...NODES_AND_MARKS,
    ...tables(onTable),
    Focus,
    Image,
    Mention,
    Highlight,
    TextAlign.configure({ types: ["heading", "paragraph"] }),
    ...(people ? [mentions(place, people)] : []),
    Dropcursor,
    Gapcursor,
    Placeholder.configure({ placeholder: element.getAttribute("placeholder") ?? "" }),
    // With it comes undo, of one's own changes only.
    Collaboration.configure({ document: doc, field }),
    Updates,
    carets(awareness),
  ];
}
