// Shows how long an order is held. The server's clock is the truth: each answer brings its time along, and only the
// seconds since then are counted here.
const clocks = new WeakMap();

const tick = () => {
  for (const clock of document.querySelectorAll("[data-deadline]")) {
    if (!clocks.has(clock)) {
      clocks.set(clock, performance.now() + Date.parse(clock.dataset.deadline) - Date.parse(clock.dataset.now));
    }
    const seconds = Math.max(0, Math.ceil((clocks.get(clock) - performance.now()) / 1000));
    const text = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    clock.textContent = seconds ? clock.dataset.text.replace("{clock}", text) : clock.dataset.over;
    clock.parentElement.classList.toggle("clock-short", seconds < 120);
  }
};

document.addEventListener("htmx:load", tick);
setInterval(tick, 1000);
tick();
