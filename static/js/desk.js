// The reviewer's desk: every button's key, and the next tree without loading the page anew. Without this file the
// same forms and links work by loading pages.
const content = document.getElementById("content");
let busy = false;

const closeBut = (panel) => content.querySelectorAll("details.panel").forEach((other) => { if (other !== panel) other.open = false; });
const panelWithReasons = () => content.querySelector("details[open] [data-reasons]");
const say = (text) => {
  const line = document.createElement("p");
  line.className = "notice notice-error";
  line.setAttribute("role", "alert");
  line.textContent = text;
  content.querySelectorAll(".notice-error").forEach((old) => old.remove());
  content.prepend(line);
};

// What is to be done whenever a tree has come onto the desk.
const arrived = () => {
  content.querySelectorAll("[data-toggle]").forEach((button) => { button.hidden = false; });
  const next = content.querySelector("[data-preload]");
  if (next) new Image().src = next.dataset.preload;
  document.dispatchEvent(new Event("desk:arrived"));
};

// Puts a page that was fetched in the place of this one, with its address.
const show = async (answer, remember) => {
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const found = page.getElementById("content");
  if (!found || !page.querySelector("link[href*='css/desk']")) {
    location.assign(answer.url);
    return;
  }
  document.dispatchEvent(new Event("desk:leaving"));
  content.replaceChildren(...found.childNodes);
  document.title = page.title;
  document.body.className = page.body.className;
  if (remember && answer.url !== location.href) history.pushState({}, "", answer.url);
  window.scrollTo(0, 0);
  arrived();
};

const load = async (address, options = {}, remember = true) => {
  if (busy) return;
  busy = true;
  content.setAttribute("aria-busy", "true");
  try {
    await show(await fetch(address, { credentials: "same-origin", ...options }), remember);
  } catch (error) {
    const news = document.getElementById("desk-news");
    if (!news) throw error;
    say(news.dataset.lost);
  } finally {
    busy = false;
    content.removeAttribute("aria-busy");
  }
};

content.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("form[data-desk]")) return;
  event.preventDefault();
  load(location.href, { method: "POST", body: new FormData(form, event.submitter) });
});

content.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-desk]");
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    load(link.href);
  }
  const toggle = event.target.closest("[data-toggle]");
  if (toggle) {
    const on = content.querySelector("#desk").classList.toggle(`is-${toggle.dataset.toggle}`);
    toggle.setAttribute("aria-pressed", on);
    if (toggle.dataset.toggle === "zoom") content.querySelectorAll(".shot .picture").forEach(centre);
    document.dispatchEvent(new Event("desk:turned"));
  }
  if (event.target.closest("a.zoom")) {
    event.preventDefault();
    zoom(event);
  }
  const summary = event.target.closest("details.panel > summary");
  if (summary) closeBut(summary.parentElement);
});
content.addEventListener("toggle", (event) => {
  // The event comes late: whoever typed fast is in the note by now.
  if (event.target.open && !event.target.querySelector("[name=note]:focus")) event.target.querySelector("[type=radio]")?.focus();
}, true);

// A press on the picture makes it larger around that point; dragging moves it.
let drag = null;
const centre = (box) => box.scrollTo((box.scrollWidth - box.clientWidth) / 2, (box.scrollHeight - box.clientHeight) / 2);
const zoom = (event) => {
  if (drag?.moved) return;
  const box = event.target.closest(".picture");
  const { left, top, width, height } = box.getBoundingClientRect();
  const at = [(event.clientX - left) / width, (event.clientY - top) / height];
  content.querySelector("[data-toggle=zoom]").click();
  box.scrollTo(at[0] * box.scrollWidth - width / 2, at[1] * box.scrollHeight - height / 2);
};
content.addEventListener("pointerdown", (event) => {
  const box = event.target.closest(".is-zoom .picture");
  drag = box && event.pointerType === "mouse" ? { box, x: event.clientX, y: event.clientY, moved: false } : null;
});
content.addEventListener("pointermove", (event) => {
  if (!drag || !event.buttons) return;
  drag.box.scrollBy(drag.x - event.clientX, drag.y - event.clientY);
  drag.moved ||= Math.hypot(drag.x - event.clientX, drag.y - event.clientY) > 3;
  [drag.x, drag.y] = [event.clientX, event.clientY];
});
content.addEventListener("dragstart", (event) => event.preventDefault());

// Keys. In a field they are text; with a panel of reasons open, a digit chooses one and sends it, unless a note is
// needed first.
const choose = (panel, digit) => {
  const radio = panel.querySelector(`[data-digit="${digit}"]`);
  if (!radio) return;
  radio.checked = true;
  const note = panel.querySelector("[name=note]");
  if (radio.value === "other" && !note.value.trim()) note.focus();
  else panel.querySelector("button").click();
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.repeat) return;
  if (event.key === "Escape") closeBut(null);
  if (event.target.matches("input:not([type=radio], [type=checkbox]), textarea, select")) return;
  const panel = panelWithReasons();
  if (panel && /^[1-9]$/.test(event.key)) {
    event.preventDefault();
    choose(panel, event.key);
    return;
  }
  const button = content.querySelector(`[data-key="${CSS.escape(event.key.toLowerCase())}"]`);
  // While a reason is asked for, no other key decides: a note typed too early must not approve anything.
  if (panel && !button?.closest("details[open]")) return;
  if (button && !button.disabled) {
    event.preventDefault();
    button.click();
  }
});

window.addEventListener("popstate", () => load(location.href, {}, false));
arrived();
