// Tells screen readers when the order's state has changed, and only then.
const news = document.getElementById("order-news");
const state = () => document.getElementById("order-status").dataset.state;
let last = state();

document.addEventListener("htmx:load", () => {
  if (state() === last) return;
  last = state();
  news.textContent = document.querySelector("#order-status h1").textContent;
});
