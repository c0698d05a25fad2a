// The order form asks of whom it must: an organisation's fields appear when one is chosen. What is not seen is not
// sent. After a refusal the page goes to what is to be read or corrected.
for (const form of document.querySelectorAll(".order-form")) {
  const kind = form.querySelector('[name="kind"]');
  const fields = form.querySelector('[data-for="organisations"]');
  const name = form.querySelector('[name="organisation_name"]');
  const holder = form.querySelector('[name="holder"]');
  let proposed = "";

  const show = () => {
    const isOrganisation = kind.value !== "individual";
    fields.hidden = fields.disabled = !isOrganisation;
    for (const input of fields.querySelectorAll('input:not([type="radio"])')) input.required = isOrganisation;
    for (const note of fields.querySelectorAll(".optional, .no-script")) note.hidden = true;
  };
  // An organisation's name is proposed for the certificate until another one, or none, is wanted there.
  const propose = () => {
    if (holder.value !== proposed) return;
    proposed = holder.value = kind.value === "individual" ? "" : name.value;
  };

  kind.addEventListener("change", () => { show(); propose(); });
  name.addEventListener("input", propose);
  form.addEventListener("submit", () => form.querySelector(".button-buy").setAttribute("aria-busy", "true"));
  show();

  const wrong = form.querySelector(".field-wrong input, .field-wrong select");
  const alert = form.querySelector(":scope > [role=alert]");
  if (wrong) {
    wrong.focus();
  } else if (alert) {
    alert.tabIndex = -1;
    alert.focus();
  }
}
addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("[aria-busy]")) button.removeAttribute("aria-busy");
});
