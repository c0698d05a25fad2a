// The map of the tree on the desk: the village's trees, its boundary, the neighbours, and rings of 1 and 10 m. Drawn on
// plain paper unless the site names a server of tiles.
const L = window.L;
const colours = { village: "#8fbda0", near: "#b45309", here: "#1e4d38", boundary: "#8a8f86" };
let map = null;

const point = ([lon, lat]) => [lat, lon];
const text = (...lines) => {
  const box = document.createElement("span");
  lines.forEach((line) => box.append(line, document.createElement("br")));
  return box;
};

const draw = (place, found) => {
  const here = point(found.tree.position);
  map = L.map(place, { preferCanvas: true, attributionControl: Boolean(found.tiles), zoomSnap: 0.5, maxZoom: 24 });
  map.setView(here, 19);
  if (found.tiles) L.tileLayer(found.tiles, { maxZoom: 24, maxNativeZoom: 18, attribution: text(found.attribution).textContent }).addTo(map);
  L.control.scale({ imperial: false }).addTo(map);
  if (found.boundary) {
    L.geoJSON(found.boundary, { interactive: false, style: { color: colours.boundary, weight: 1.5, fill: false, dashArray: "4 4" } }).addTo(map);
  }
  found.village.forEach((position) => {
    L.circleMarker(point(position), { radius: 2.5, weight: 0, fillColor: colours.village, fillOpacity: 0.9, interactive: false }).addTo(map);
  });
  if (found.tree.accuracy_m) {
    L.circle(here, { radius: found.tree.accuracy_m, color: colours.here, weight: 1, fillOpacity: 0.08, interactive: false }).addTo(map);
  }
  [1, 10].forEach((radius) => {
    L.circle(here, { radius, color: colours.here, weight: 1, dashArray: "2 4", fill: false, interactive: false }).addTo(map);
  });
  found.near.forEach((tree) => {
    L.circleMarker(point(tree.position), { radius: 5, color: colours.near, weight: 2, fillOpacity: 0.5 })
      .bindTooltip(text(tree.number, tree.state, `${tree.distance_m} m`))
      .addTo(map);
  });
  L.circleMarker(here, { radius: 6, color: "#fff", weight: 2, fillColor: colours.here, fillOpacity: 1 })
    .bindTooltip(text(place.dataset.here, found.tree.number))
    .addTo(map);
};

const start = async () => {
  const place = document.getElementById("map");
  if (!place || !L) return;
  try {
    const answer = await fetch(place.dataset.address, { credentials: "same-origin" });
    const found = await answer.json();
    if (place.isConnected && !map) draw(place, found);
  } catch {
    place.textContent = place.dataset.none;
  }
};

document.addEventListener("desk:leaving", () => {
  map?.remove();
  map = null;
});
document.addEventListener("desk:arrived", start);
document.addEventListener("desk:turned", () => {
  map?.invalidateSize();
  if (document.querySelector(".is-map")) document.getElementById("map").scrollIntoView({ block: "nearest" });
});
start();
