/** Tables: the nodes of Tiptap's own extension; what edits them is loaded with the first one. */
import { Node, mergeAttributes } from "@tiptap/core";
import type { Node as ProseMirrorNode } from "@tiptap/pm/model";
import type { NodeView } from "@tiptap/pm/view";

/** Pixels of a column whose width is not said. */
export const COLUMN_WIDTH = 25;
const ALIGNS = ["left", "center", "right"];

const cellAttributes = {
  colspan: { default: 1 },
  rowspan: { default: 1 },
  colwidth: {
    default: null,
    parseHTML: (element: HTMLElement) =>
      element.getAttribute("colwidth")?.split(",").map((width) => parseInt(width, 10)) ?? null,
  },
  align: {
    default: null,
    parseHTML: ({ style }: HTMLElement) => (ALIGNS.includes(style.textAlign) ? style.textAlign : null),
    renderHTML: ({ align }: Record<string, unknown>) =>
      typeof align === "string" ? { style: `text-align: ${align}` } : {},
  },
};

function cell(name: string, tag: string, tableRole: string): Node {
  return Node.create({
    name,
    content: "block+",
    isolating: true,
    tableRole,
    addAttributes: () => cellAttributes,
    parseHTML: () => [{ tag }],
    renderHTML: ({ HTMLAttributes }) => [tag, mergeAttributes(HTMLAttributes), 0],
  } as Parameters<typeof Node.create>[0]);
}

/** Return the width of each column; 0 where it is not said. */
function widthsOf(table: ProseMirrorNode): number[] {
  const widths: number[] = [];
  table.firstChild?.forEach(({ attrs }) => {
    const { colspan, colwidth } = attrs as { colspan: number; colwidth: number[] | null };
    for (let index = 0; index < colspan; index += 1) widths.push(colwidth?.[index] ?? 0);
  });
  return widths;
}

/** Return the styles of the columns and of the table. */
function layoutOf(table: ProseMirrorNode): { columns: string[]; style: string } {
  const widths = widthsOf(table);
  const total = widths.reduce((sum, width) => sum + (width || COLUMN_WIDTH), 0);
  const name = widths.length > 0 && widths.every(Boolean) ? "width" : "min-width";
  const columns = widths.map((width) =>
    width ? `width: ${String(Math.max(width, COLUMN_WIDTH))}px` : `min-width: ${String(COLUMN_WIDTH)}px`,
  );
  return { columns, style: `${name}: ${String(total)}px` };
}

/** A table in the editor, which scrolls if it is wider. */
class TableBox implements NodeView {
  readonly dom = document.createElement("div");
  readonly contentDOM: HTMLElement;
  readonly #columns: HTMLElement;
  #node: ProseMirrorNode;

  constructor(node: ProseMirrorNode) {
    this.#node = node;
    this.dom.className = "tableWrapper";
    const table = this.dom.appendChild(document.createElement("table"));
    this.#columns = table.appendChild(document.createElement("colgroup"));
    this.contentDOM = table.appendChild(document.createElement("tbody"));
    this.#layOut();
  }

  update(node: ProseMirrorNode): boolean {
    if (node.type !== this.#node.type) return false;
    this.#node = node;
    this.#layOut();
    return true;
  }

  ignoreMutation({ target }: { target: globalThis.Node }): boolean {
    return !this.contentDOM.contains(target);
  }

  #layOut(): void {
    const { columns, style } = layoutOf(this.#node);
    const found = columns.map((column) => {
      const element = document.createElement("col");
      element.style.cssText = column;
      return element;
    });
    this.#columns.replaceChildren(...found);
    (this.contentDOM.parentElement as HTMLElement).style.cssText = style;
  }
}

/** Return the nodes of tables; `onTable` is called for each that is shown. */
export const tables = (onTable: () => void): Node[] => [
  Node.create({
    name: "table",
    group: "block",
    content: "tableRow+",
    isolating: true,
    tableRole: "table",
    parseHTML: () => [{ tag: "table" }],
    renderHTML: ({ node }: { node: ProseMirrorNode }) => {
      const { columns, style } = layoutOf(node);
      const cols = columns.map((column): [string, { style: string }] => ["col", { style: column }]);
      return ["table", { style }, ["colgroup", {}, ...cols], ["tbody", 0]];
    },
    addNodeView:
      () =>
      ({ node }: { node: ProseMirrorNode }) => {
        onTable();
        return new TableBox(node);
      },
    // Where the library of tables looks for it.
    extendNodeSchema: ({ config }: { config: object }) => ({
      tableRole: "tableRole" in config ? config.tableRole : undefined,
    }),
  } as Parameters<typeof Node.create>[0]),
  cell("tableCell", "td", "cell"),
  cell("tableHeader", "th", "header_cell"),
  Node.create({
    name: "tableRow",
    content: "(tableCell | tableHeader)*",
    tableRole: "row",
    parseHTML: () => [{ tag: "tr" }],
    renderHTML: ({ HTMLAttributes }) => ["tr", mergeAttributes(HTMLAttributes), 0],
  } as Parameters<typeof Node.create>[0]),
];
