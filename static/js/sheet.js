// The contact sheet: arrows go from tree to tree, X sets one aside, and the buttons say how many they are about.
const sheet = document.getElementById("sheet");
const boxes = sheet ? [...sheet.querySelectorAll("[name=aside]")] : [];

const label = (id, count) => {
  const line = document.getElementById(id);
  line.textContent = count ? line.dataset.some.replace("{n}", count) : line.dataset.none;
};

const count = () => {
  const aside = boxes.filter((box) => box.checked).length;
  label("approve-label", boxes.length - aside);
  label("reject-label", aside);
  sheet.querySelector("[data-key=a]").disabled = aside === boxes.length;
};

// Of those in the next row, the one that is nearest in the direction of the arrow.
const beside = (box, key) => {
  const at = boxes.indexOf(box);
  if (at < 0) return boxes[0];
  if (key === "ArrowRight") return boxes[at + 1];
  if (key === "ArrowLeft") return boxes[at - 1];
  const place = (one) => one.closest("li").getBoundingClientRect();
  const from = place(box);
  const down = key === "ArrowDown";
  const beyond = boxes.filter((one) => (down ? place(one).top > from.top + 5 : place(one).top < from.top - 5));
  const row = down ? beyond[0] : beyond.at(-1);
  if (!row) return undefined;
  const same = beyond.filter((one) => Math.abs(place(one).top - place(row).top) < 5);
  return same.sort((a, b) => Math.abs(place(a).left - from.left) - Math.abs(place(b).left - from.left))[0];
};

if (sheet) {
  sheet.addEventListener("change", count);
  sheet.addEventListener("submit", () => {
    // A second press changes nothing: the page is on its way.
    setTimeout(() => sheet.querySelectorAll("button").forEach((button) => { button.disabled = true; }));
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("[name=note]")) return;
    const box = boxes.find((one) => one === document.activeElement);
    if (event.key.startsWith("Arrow") && !event.target.matches("[type=radio]")) {
      const next = beside(box, event.key);
      if (next) {
        event.preventDefault();
        next.focus({ preventScroll: true });
        next.closest("li").scrollIntoView({ block: "nearest" });
      }
    }
    if (event.key.toLowerCase() === "x" && box) box.click();
    if (event.key.toLowerCase() === "z" && box) box.closest("li").querySelector("a").click();
  });
  count();
}
