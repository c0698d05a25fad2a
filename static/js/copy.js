// Buttons that copy a text: what a bank's form asks for, or a gift's address. Without a clipboard they stay away; on a
// page that goes on by itself they may come later.
const show = () => {
  for (const button of document.querySelectorAll("[data-copy]")) button.hidden = !navigator.clipboard;
};
show();
document.addEventListener("htmx:load", show);
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  button.textContent = button.dataset.done;
});
