/** Buttons that copy a text. */

/** Copy `text()` when `button` is clicked; `select` marks it for the keyboard if that fails. */
export function setUpCopy(button: HTMLElement, text: () => string, select: () => void): void {
  button.addEventListener("click", () => void copy(button, text(), select));
}

async function copy(button: HTMLElement, text: string, select: () => void): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    // The browser does not allow it: the text is selected, and one key away.
    select();
    button.textContent = "Press Ctrl+C";
  }
  setTimeout(() => (button.textContent = "Copy"), 2000);
}
