/** Code and Markdown: CodeMirror. */
import { closeBrackets, closeBracketsKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, indentWithTab } from "@codemirror/commands";
import { bracketMatching, indentOnInput, syntaxHighlighting } from "@codemirror/language";
import { Compartment, EditorState, type Extension } from "@codemirror/state";
import { EditorView, keymap, lineNumbers, placeholder } from "@codemirror/view";
import { yCollab, yUndoManagerKeymap } from "y-codemirror.next";
import { UndoManager } from "yjs";

import type { Place, Surface } from "../surface.js";
import { carets } from "./carets.js";
import { loadLanguage } from "./languages.js";
import { colours, theme } from "./theme.js";

export function makeSurface(place: Place): Surface {
  const { host, element, doc, awareness, field } = place;
  const text = doc.getText(field);
  const isCode = element.getAttribute("editor") === "code";
  const undoManager = new UndoManager(text);
  const [editable, language] = [new Compartment(), new Compartment()];
  // Styles by script are let into a shadow only by a policy without `unsafe-inline`.
  const root = host.attachShadow({ mode: "open" });
  const view = new EditorView({
    root,
    parent: root,
    state: EditorState.create({
      doc: text.toJSON(),
      extensions: [
        ...extensions(place, isCode),
        yCollab(text, null, { undoManager }),
        carets(text, awareness),
        editable.of(EditorState.readOnly.of(true)),
        language.of([]),
      ],
    }),
  });
  const wanted = isCode ? element.getAttribute("language") : "markdown";
  void loadLanguage(wanted ?? "").then((found) => {
    if (found) view.dispatch({ effects: language.reconfigure(found) });
  });
  return {
    showAuthors: async (letters) => (await import("./authors.js")).showAuthors(view, letters),
    get value() {
      return text.toJSON();
    },
    setEditable: (isEditable) => {
      view.dispatch({ effects: editable.reconfigure(EditorState.readOnly.of(!isEditable)) });
    },
    focus: () => view.focus(),
    destroy: () => {
      view.destroy();
      undoManager.destroy();
    },
  };
}

function extensions({ element, t }: Place, isCode: boolean): Extension[] {
  const name = element.getAttribute("label") ?? t("Text");
  return [
    ...(isCode ? [lineNumbers(), bracketMatching(), closeBrackets(), indentOnInput()] : []),
    EditorView.lineWrapping,
    placeholder(element.getAttribute("placeholder") ?? ""),
    EditorView.contentAttributes.of({ "aria-label": name }),
    theme,
    syntaxHighlighting(colours),
    // Tab leaves the editor after Escape, and a Markdown text at once.
    keymap.of([
      ...(isCode ? [...closeBracketsKeymap, indentWithTab] : []),
      ...yUndoManagerKeymap,
      ...defaultKeymap,
    ]),
  ];
}
