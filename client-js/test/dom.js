/** React components, shown in a document that there is for tests. */
import { Window } from "happy-dom";
import { after } from "node:test";
import { act, createElement } from "react";
import { createRoot } from "react-dom/client";

const window = new Window();
Object.assign(globalThis, { window, document: window.document, IS_REACT_ACT_ENVIRONMENT: true });
after(() => window.happyDOM.close());

/** Show a component until the test ends; return what reads its text. */
export async function show(t, component, props) {
  const element = document.createElement("div");
  const root = createRoot(element);
  await act(() => root.render(createElement(component, props)));
  t.after(() => act(() => root.unmount()));
  return {
    get text() {
      return element.textContent;
    },
    rerender: (changed) => act(() => root.render(createElement(component, changed))),
    unmount: () => act(() => root.unmount()),
  };
}
