/** The command `focus`, without a wait: Tiptap's own waits for a frame, and text typed until then is lost. */
import { Extension, commands } from "@tiptap/core";

export const Focus = Extension.create({
  name: "collabFocus",
  addCommands: () => ({
    focus: (position, options) => (props) => {
      const { view, tr, dispatch } = props;
      if (dispatch && !view.hasFocus()) {
        view.focus();
        if (options?.scrollIntoView !== false) tr.scrollIntoView();
      }
      return commands.focus(position, options)(props);
    },
  }),
});
