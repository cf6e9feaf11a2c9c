/* Asks the server, while a change form of the admin is open, what others do with its row. */

const PAUSE = 4000;

const form = /\/change\/$/.test(location.pathname) && document.querySelector("#content-main form");
if (form) follow(form, new URL("../collab/", location.href));

function follow(form, address) {
  const bar = document.createElement("div");
  bar.className = "collab-others";
  bar.setAttribute("role", "status");
  bar.hidden = true;
  form.before(bar);
  const ask = async () => {
    if (!document.hidden) {
      try {
        const { present, changed } = await answer(form, address);
        if (bar.textContent !== present) bar.textContent = present;
        bar.hidden = !present;
        show(form, changed);
      } catch (error) {
        console.warn("The server does not say what others do with this form:", error);
      }
    }
    setTimeout(ask, PAUSE);
  };
  void ask();
}

async function answer(form, address) {
  const data = new FormData(form);
  for (const [name, value] of [...data]) if (value instanceof File) data.delete(name);
  const response = await fetch(address, { method: "POST", body: data });
  if (!response.ok) throw new Error(`${response.status}`);
  return response.json();
}

/** Show beneath each field what others have changed, and remove what is no longer so. */
function show(form, changed) {
  for (const note of form.querySelectorAll(".collab-changed")) {
    if (!(note.dataset.field in changed)) note.remove();
  }
  for (const [name, text] of Object.entries(changed)) {
    const control = form.querySelector(`[name="${CSS.escape(name)}"], [name="${CSS.escape(name)}_0"]`);
    const row = control?.closest(".form-row") ?? control?.parentElement;
    if (!row) continue;
    let note = row.querySelector(`.collab-changed[data-field="${CSS.escape(name)}"]`);
    if (!note) {
      note = document.createElement("div");
      note.className = "collab-changed";
      note.dataset.field = name;
      note.setAttribute("role", "status");
      row.append(note);
    }
    if (note.textContent !== text) note.textContent = text;
  }
}
