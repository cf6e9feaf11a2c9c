/** Editing of tables: loaded with the first table of a page. */
import type { Editor } from "@tiptap/core";
import type { Command } from "@tiptap/pm/state";
import {
  addColumnAfter,
  addColumnBefore,
  addRowAfter,
  addRowBefore,
  columnResizing,
  deleteColumn,
  deleteRow,
  deleteTable,
  goToNextCell,
  mergeCells,
  splitCell,
  tableEditing,
  toggleHeaderRow,
} from "@tiptap/pm/tables";
import { keydownHandler } from "@tiptap/pm/keymap";
import { Plugin } from "@tiptap/pm/state";

import { COLUMN_WIDTH } from "./tables.js";

const mergeOrSplit: Command = (state, dispatch) => mergeCells(state, dispatch) || splitCell(state, dispatch);

export const commands = {
  addColumnAfter,
  addColumnBefore,
  addRowAfter,
  addRowBefore,
  deleteColumn,
  deleteRow,
  deleteTable,
  mergeOrSplit,
  toggleHeaderRow,
} satisfies Record<string, Command>;

export type TableCommand = keyof typeof commands;

/** Make tables of an editor editable. */
export function editTables(editor: Editor): void {
  const { view } = editor;
  const next: Command = (state, dispatch) => {
    if (goToNextCell(1)(state, dispatch)) return true;
    // After the last cell comes a new row.
    return addRowAfter(state, dispatch) && goToNextCell(1)(view.state, dispatch);
  };
  const keys = keydownHandler({ Tab: next, "Shift-Tab": goToNextCell(-1) });
  // Before the keys of lists.
  editor.registerPlugin(new Plugin({ props: { handleKeyDown: keys } }), (plugin, plugins) => [plugin, ...plugins]);
  const resizing = columnResizing({ cellMinWidth: COLUMN_WIDTH, View: null });
  editor.registerPlugin(resizing, (plugin, plugins) => [plugin, ...plugins]);
  editor.registerPlugin(tableEditing());
}
