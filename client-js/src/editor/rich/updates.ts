/** Updates of the document are shown, even if the binding cannot restore the selection. */
import { Extension } from "@tiptap/core";
import { Plugin } from "@tiptap/pm/state";
import type { EditorView } from "@tiptap/pm/view";
import { type ProsemirrorBinding, ySyncPluginKey } from "@tiptap/y-tiptap";
import type { Transaction, XmlFragment, YEvent } from "yjs";

type Observer = (events: YEvent<XmlFragment>[], transaction: Transaction) => void;

/** The selection from before the update: relative positions, and the numbers they had. */
interface Remembered {
  beforeTransactionSelection: { absAnchor?: number; absHead?: number } | null;
}

/**
 * The binding restores the selection first. It throws if it remembers a position of an earlier, longer
 * text, as after undo; the next edit here would then delete all that is not shown.
 */
export const Updates = Extension.create({
  name: "collabUpdates",
  addProseMirrorPlugins: () => [
    new Plugin({
      view: (view) => {
        const { binding } = ySyncPluginKey.getState(view.state) as { binding: ProsemirrorBinding };
        binding.type.unobserveDeep(binding._observeFunction as Observer);
        binding.type.observeDeep((binding._observeFunction = observer(view, binding)));
        return {};
      },
    }),
  ],
});

function observer(view: EditorView, binding: ProsemirrorBinding): Observer {
  const remembered = binding as Remembered;
  const show: Observer = (events, transaction) => {
    const { state } = view;
    const selection = remembered.beforeTransactionSelection;
    try {
      binding._typeChanged(events, transaction);
    } catch (error) {
      if (!selection || view.state !== state) throw error;
      const { absAnchor, absHead, ...relative } = selection;
      // First without the numbers, at last without a selection.
      remembered.beforeTransactionSelection = absAnchor === undefined && absHead === undefined ? null : relative;
      show(events, transaction);
    }
  };
  return show;
}
