/** Images that are pasted, dropped or chosen: stored by the server, and put where they belong. */
import { Extension, type Editor } from "@tiptap/core";
import type { Transaction } from "@tiptap/pm/state";
import { Plugin } from "@tiptap/pm/state";

import { csrfToken, grantHeaders } from "../requests.js";
import type { Place } from "../surface.js";

interface Stored {
  url: string;
  width?: number;
  height?: number;
}

/** Whether a file may be an image; the server looks into it. */
const isImage = ({ type }: File): boolean => type.startsWith("image/");

const filesOf = (data: DataTransfer | null): File[] => [...(data?.files ?? [])].filter(isImage);

/** Images of one editor. */
export class Uploads {
  readonly #place: Place;

  constructor(place: Place) {
    this.#place = place;
  }

  get isPossible(): boolean {
    return this.#address !== "";
  }

  /** An extension that takes images that are pasted or dropped. */
  extension(): Extension {
    const take = (editor: Editor, files: File[], position: number): boolean => {
      if (files.length === 0 || !editor.isEditable) return false;
      void this.insert(editor, files, position);
      return true;
    };
    return Extension.create({
      name: "collabUploads",
      addProseMirrorPlugins() {
        const { editor } = this;
        return [
          new Plugin({
            props: {
              handlePaste: (view, { clipboardData }) =>
                // Word processors put a picture of the text beside the text.
                !clipboardData?.getData("text/html") &&
                take(editor, filesOf(clipboardData), view.state.selection.to),
              handleDrop: (view, event) => {
                const at = view.posAtCoords({ left: event.clientX, top: event.clientY });
                const position = at?.pos ?? view.state.selection.to;
                return take(editor, filesOf(event.dataTransfer), position);
              },
            },
          }),
        ];
      },
    });
  }

  /** Upload files, and put each where it was meant to be, whatever was typed meanwhile. */
  async insert(editor: Editor, files: File[], position: number): Promise<void> {
    const { t, notify } = this.#place;
    if (!this.isPossible) {
      notify(t("Images cannot be stored here."));
      return;
    }
    let place = position;
    const follow = ({ transaction }: { transaction: Transaction }): void => {
      place = transaction.mapping.map(place);
    };
    editor.on("transaction", follow);
    try {
      for (const file of files) {
        notify(t("Uploading “%(name)s”…", { name: file.name }));
        const { url, width, height } = await this.#store(file);
        if (editor.isDestroyed) return;
        const alt = file.name.replace(/\.\w+$/, "");
        const image = { type: "image", attrs: { src: url, alt, width: width ?? null, height: height ?? null } };
        // After the last block there must be a place to write on.
        const isLast = place >= editor.state.doc.content.size - 1;
        const content = isLast ? [image, { type: "paragraph" }] : image;
        editor.commands.insertContentAt(place, content, { updateSelection: isLast });
        notify(t("“%(name)s” is in the text.", { name: file.name }));
      }
    } catch (error) {
      notify(error instanceof Error ? error.message : String(error));
    } finally {
      editor.off("transaction", follow);
    }
  }

  async #store(file: File): Promise<Stored> {
    const { t, element } = this.#place;
    const body = new FormData();
    body.append("name", element.getAttribute("name") ?? "");
    body.append("file", file);
    const headers = { ...grantHeaders(element), "X-CSRFToken": csrfToken(element) };
    let response: Response;
    try {
      response = await fetch(this.#address, { method: "POST", body, headers, credentials: "same-origin" });
    } catch {
      throw new Error(t("“%(name)s” was not uploaded: the server cannot be reached.", { name: file.name }));
    }
    const isJson = response.headers.get("content-type")?.startsWith("application/json");
    const answer = isJson ? ((await response.json()) as Partial<Stored> & { error?: string }) : {};
    if (response.ok && answer.url) return { ...answer, url: answer.url };
    const fallback = t("“%(name)s” was refused.", { name: file.name });
    throw new Error(answer.error ?? fallback);
  }

  get #address(): string {
    return this.#place.element.getAttribute("upload-url") ?? "";
  }
}
