// Takes the position of the tree while the officer fills in the form, and keeps the most accurate fix.
// Without a fix the fields stay empty and the form works all the same.
const box = document.getElementById("position");
const line = box.querySelector("p");
const fields = ["lon", "lat", "accuracy_m"].map((name) => document.querySelector(`[name="${name}"]`));
const options = { enableHighAccuracy: true, maximumAge: 0, timeout: 30000 };
let best = Infinity;
let watch = null;

const say = (state, metres) => {
  box.dataset.state = state;
  line.textContent = box.dataset[state].replace("{m}", metres);
};

const stop = () => {
  navigator.geolocation.clearWatch(watch);
  watch = null;
};

const take = ({ coords }) => {
  const metres = Math.max(1, Math.round(coords.accuracy));
  if (metres >= best || metres > 32000) return;
  best = metres;
  [coords.longitude.toFixed(6), coords.latitude.toFixed(6), metres].forEach((value, i) => {
    fields[i].value = value;
  });
  say("found", metres);
  if (metres <= 5) stop();
};

const fail = (error) => {
  if (error.code === error.PERMISSION_DENIED) stop();
  if (best === Infinity) say("none");
};

const start = () => {
  if (watch !== null) stop();
  best = Infinity;
  fields.forEach((field) => { field.value = ""; });
  say("searching");
  watch = navigator.geolocation.watchPosition(take, fail, options);
};

if ("geolocation" in navigator) {
  box.hidden = false;
  box.querySelector("button").addEventListener("click", start);
  // A position that is known stays until the officer asks for another one.
  if ("kept" in box.dataset && fields[0].value) say("kept");
  else start();
}
