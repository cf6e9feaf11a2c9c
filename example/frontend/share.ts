/** The link for readers. */
export function setUpShare(panel: HTMLElement | null): void {
  const link = panel?.querySelector("input");
  const button = panel?.querySelector("button");
  if (!link || !button) return;
  link.addEventListener("focus", () => link.select());
  button.addEventListener("click", () => void copy(link, button));
}

async function copy(link: HTMLInputElement, button: HTMLButtonElement): Promise<void> {
  try {
    await navigator.clipboard.writeText(link.value);
    button.textContent = "Copied";
  } catch {
    // Not allowed here: it is selected, and one key away.
    link.select();
    button.textContent = "Press Ctrl+C";
  }
  setTimeout(() => (button.textContent = "Copy"), 2000);
}
