// The map of places: counties by their outlines, villages by circles, the darker the more trees wait. What it shows
// stands in the list below it too. Drawn on plain paper unless the site names a server of tiles.
const L = window.L;
const place = document.getElementById("places-map");
const data = document.getElementById("places-map-data");
const touch = window.matchMedia("(hover: none)").matches;

const shades = ["#eef3e6", "#d3e4cd", "#a9cbb2", "#6fa783", "#3f8058"];
const shade = ({ unsold, total }) => (unsold ? shades[Math.min(4, Math.floor((unsold / total) * 5))] : "#e7e0d1");
const words = (item) => {
  const box = document.createElement("span");
  const name = document.createElement("strong");
  name.textContent = item.name;
  const left = item.unsold ? place.dataset.left.replace("{n}", item.unsold.toLocaleString("en")) : place.dataset.none;
  box.append(name, document.createElement("br"), left);
  return box;
};

// A finger sees the name first and follows its link; a mouse sees it by pointing, and clicks.
const lead = (layer, item) => {
  if (touch) {
    const link = document.createElement("a");
    link.href = item.url;
    link.append(words(item), document.createElement("br"), place.dataset.open);
    layer.bindPopup(link, { closeButton: false });
  } else {
    layer.bindTooltip(words(item), { sticky: true });
    layer.on("click", () => window.location.assign(item.url));
  }
};

const draw = (found, outlines) => {
  const map = L.map(place, {
    attributionControl: Boolean(found.tiles), zoomSnap: 0.25, scrollWheelZoom: false,
    dragging: !touch, minZoom: 5, maxZoom: 14,
  });
  if (found.tiles) {
    const attribution = document.createElement("span");
    attribution.textContent = found.attribution;
    L.tileLayer(found.tiles, { maxZoom: 18, attribution: attribution.innerHTML }).addTo(map);
  }
  const known = new Map(found.places.map((item) => [item.code, item]));
  const shown = L.featureGroup();
  const around = L.geoJSON(outlines, {
    filter: ({ properties }) => !known.has(properties.code),
    interactive: false,
    style: { color: "#d8cfbb", weight: 1, fillColor: "#faf6ee", fillOpacity: 0.6 },
  }).addTo(map);
  L.geoJSON(outlines, {
    filter: ({ properties }) => known.has(properties.code),
    style: ({ properties }) => ({ color: "#1e4d38", weight: 1.25, fillColor: shade(known.get(properties.code)), fillOpacity: 0.9 }),
    onEachFeature: ({ properties }, layer) => lead(layer, known.get(properties.code)),
  }).addTo(shown);
  const outlined = new Set(outlines.features.map(({ properties }) => properties.code));
  for (const item of found.places) {
    if (!item.position || outlined.has(item.code)) continue;
    const [lon, lat] = item.position;
    const circle = L.circleMarker([lat, lon], {
      radius: 7 + Math.min(9, Math.sqrt(item.unsold) / 8), color: "#1e4d38", weight: 1.5, fillColor: shade(item), fillOpacity: 0.9,
    });
    lead(circle, item);
    // Without outlines a few circles say nothing: they bear their names.
    if (!outlined.size && found.places.length <= 12) {
      circle.unbindTooltip().bindTooltip(item.name, { permanent: true, direction: "right", offset: [8, 0] });
    }
    circle.addTo(shown);
  }
  shown.addTo(map);
  const bounds = shown.getBounds();
  if (!found.places.some(({ code }) => outlined.has(code))) bounds.extend(around.getBounds());
  map.fitBounds(bounds, { padding: [16, 16], maxZoom: 12 });
  // A finger that moves over the whole map moves the page; once it has zoomed in, the map.
  if (touch) {
    const whole = map.getZoom();
    map.on("zoomend", () => map.dragging[map.getZoom() > whole ? "enable" : "disable"]());
  }
};

const start = async () => {
  const found = JSON.parse(data.textContent);
  let outlines = { type: "FeatureCollection", features: [] };
  if (found.outlines) {
    const answer = await fetch(found.outlines);
    if (answer.ok) outlines = await answer.json();
  }
  place.hidden = false;
  draw(found, outlines);
};

if (place && data && L) start().catch(() => { place.hidden = true; });
