// Quick choices and the sum under the number of trees. The server prices; this only shows it early.
const form = document.querySelector(".order-form[data-price-fen]");
const input = form?.querySelector('[name="quantity"]:not([type="hidden"])');

if (input) {
  const quick = form.querySelector(".quick");
  const output = form.querySelector("output");
  const { priceFen, kg, unsold } = form.dataset;
  const each = output.textContent;

  const show = () => {
    const trees = Number(input.value);
    const sensible = Number.isInteger(trees) && trees > 0;
    const yuan = ((trees * priceFen) / 100).toLocaleString("en", { minimumFractionDigits: 2 });
    output.textContent = sensible
      ? output.dataset.text.replace("{yuan}", `¥${yuan}`).replace("{kg}", (trees * kg).toLocaleString("en"))
      : each;
    for (const button of quick.children) {
      button.disabled = Number(button.value) > Number(unsold);
      button.setAttribute("aria-pressed", String(Number(button.value) === trees));
    }
  };

  quick.hidden = false;
  quick.addEventListener("click", (event) => {
    if (event.target.value) input.value = event.target.value;
    show();
  });
  input.addEventListener("input", show);
  show();
}
