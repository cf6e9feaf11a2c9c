/** Links: the mark of Tiptap's own extension, without its list of all top-level domains. */
import { Mark, markPasteRule, mergeAttributes } from "@tiptap/core";
import { Plugin } from "@tiptap/pm/state";

declare module "@tiptap/core" {
  interface Commands<ReturnType> {
    link: {
      /** Link the selection; whatever is no address of the web or a mailbox is refused. */
      setLink: (attributes: { href: string }) => ReturnType;
      unsetLink: () => ReturnType;
    };
  }
}

const SCHEMES = /^(?:https?|mailto|tel):/i;
const SCHEME = /^[a-z][a-z0-9+.-]*:/i;
/** Letters that browsers skip in an address, so that `java\tscript:` is one. */
const SKIPPED = /[\u0000-\u0020\u00a0\u1680\u180e\u2000-\u2029\u205f\u3000]/g;
const WEB_ADDRESS = /https?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]}]/g;

/** Whether an address may be in a link: one without a scheme is of this site. */
export function isSafe(href: unknown): href is string {
  if (typeof href !== "string") return false;
  const address = href.replace(SKIPPED, "");
  return SCHEMES.test(address) || !SCHEME.test(address);
}

/** Return the address that a user has typed. */
export function addressOf(typed: string): string {
  const address = typed.trim();
  if (SCHEME.test(address) || /^[/#?.]/.test(address)) return address;
  if (/^[^\s/@]+@[^\s/@]+$/.test(address)) return `mailto:${address}`;
  return `https://${address}`;
}

export const Link = Mark.create({
  name: "link",
  priority: 1000,
  keepOnSplit: false,
  exitable: true,
  inclusive: false,
  addAttributes: () => ({
    href: { default: null, parseHTML: (element: HTMLElement) => element.getAttribute("href") },
    target: { default: "_blank" },
    rel: { default: "noopener noreferrer nofollow" },
    class: { default: null },
    title: { default: null },
  }),
  parseHTML: () => [
    {
      tag: "a[href]",
      getAttrs: (element) => isSafe(element.getAttribute("href")) && null,
    },
  ],
  renderHTML({ HTMLAttributes }) {
    const attributes = HTMLAttributes as Record<string, unknown>;
    const href = isSafe(attributes["href"]) ? attributes["href"] : "";
    return ["a", mergeAttributes(attributes, { href }), 0];
  },
  addCommands() {
    return {
      setLink:
        ({ href }) =>
        ({ chain }) =>
          isSafe(href) && chain().extendMarkRange(this.name).setMark(this.name, { href }).run(),
      unsetLink:
        () =>
        ({ chain }) =>
          chain().unsetMark(this.name, { extendEmptyMarkRange: true }).run(),
    };
  },
  addPasteRules() {
    return [
      markPasteRule({
        find: WEB_ADDRESS,
        type: this.type,
        getAttributes: ([href]) => ({ href }),
      }),
    ];
  },
  addProseMirrorPlugins() {
    const { type } = this;
    return [
      new Plugin({
        props: {
          // An address that was typed becomes a link with the space after it.
          handleTextInput: (view, from, to, text) => {
            if (text !== " " || from !== to) return false;
            const { $from } = view.state.selection;
            if ($from.parent.type.spec.code || type.isInSet($from.marks())) return false;
            const before = $from.parent.textBetween(0, $from.parentOffset, undefined, "\ufffc");
            const word = /\S+$/.exec(before)?.[0] ?? "";
            const [address] = word.match(WEB_ADDRESS) ?? [];
            if (!address || !word.startsWith(address)) return false;
            const start = from - word.length;
            const { tr } = view.state;
            tr.addMark(start, start + address.length, type.create({ href: address }));
            view.dispatch(tr.removeStoredMark(type).insertText(text, from));
            return true;
          },
          handleClick: (view, _position, event) => {
            const link = event.target instanceof Element ? event.target.closest("a") : null;
            if (!link || !view.dom.contains(link) || !isSafe(link.getAttribute("href"))) return false;
            if (view.editable && !event.ctrlKey && !event.metaKey) return false;
            if (!view.editable) return false;
            window.open(link.href, "_blank", "noopener,noreferrer");
            return true;
          },
        },
      }),
    ];
  },
});
