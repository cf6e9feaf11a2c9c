/** A question in the toolbar, such as the address of a link. */
import { make } from "../frame.js";
import type { Translate } from "../../strings.js";

export class Prompt {
  readonly form = make("form", { class: "prompt", hidden: "" });
  readonly #label = make("span");
  readonly #input = make("input", { type: "text", autocomplete: "off" }) as HTMLInputElement;
  #answer: ((text: string) => void) | undefined;

  /**
   * @param leave - puts the focus back into the text.
   */
  constructor(t: Translate, leave: () => void) {
    const apply = make("button", { type: "submit" }, t("Apply"));
    const cancel = make("button", { type: "button" }, t("Cancel"));
    this.form.append(make("label", {}, this.#label, this.#input), apply, cancel);
    const close = (): void => {
      this.form.hidden = true;
      leave();
    };
    cancel.addEventListener("click", close);
    this.form.addEventListener("keydown", ({ key }) => key === "Escape" && close());
    this.form.addEventListener("submit", (event) => {
      // It is about this question; a form around the editor is not meant.
      event.preventDefault();
      event.stopPropagation();
      close();
      this.#answer?.(this.#input.value);
    });
  }

  ask(question: string, before: string, answer: (text: string) => void): void {
    this.#label.textContent = question;
    this.#input.value = before;
    this.#answer = answer;
    this.form.hidden = false;
    this.#input.select();
    this.#input.focus();
  }
}
