// Turns the girth that a tape shows into the diameter.
const girth = document.getElementById("girth");
const diameter = document.querySelector('[name="dbh_cm"]');
document.getElementById("girth-field").hidden = false;
girth.addEventListener("input", () => {
  const cm = Number.parseFloat(girth.value);
  diameter.value = cm > 0 ? (cm / Math.PI).toFixed(1) : "";
});
diameter.addEventListener("input", () => { girth.value = ""; });
