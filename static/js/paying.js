// Small services of the order page: pressing the only button there is, once, and showing that it was pressed.
let pressed = false;
function press() {
  const form = document.querySelector("form[data-press]");
  if (!form || pressed) return;
  pressed = true;
  form.requestSubmit(form.querySelector("button"));
}
press();
// A large order can be paid once its trees are put together, which the page learns while it is open.
document.addEventListener("htmx:load", press);

document.addEventListener("submit", (event) => event.submitter?.setAttribute("aria-busy", "true"));
addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("[aria-busy]")) button.removeAttribute("aria-busy");
});
