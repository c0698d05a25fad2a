// The phone's position while the officer stands at a tree: the most accurate fix since they came to it.

export const GOOD_M = 20;

/**
 * Watches from now on and calls `changed()` with each fix. While the officer walks only the newest fix counts; once
 * they stand at the tree the most accurate one. `best()` is {lon, lat, m} or null: never 0, 0.
 */
export function watchPosition(changed) {
  const place = { fix: null, stands: false, denied: false, watch: null };
  const take = ({ coords: { longitude, latitude, accuracy } }) => {
    const m = Math.max(1, Math.round(accuracy));
    if ((longitude === 0 && latitude === 0) || m > 32000) return;
    place.denied = false;
    if (!place.stands || !place.fix || m <= place.fix.m) {
      place.fix = { lon: longitude.toFixed(6), lat: latitude.toFixed(6), m };
    }
    changed();
  };
  const fail = (error) => {
    place.denied = error.code === error.PERMISSION_DENIED;
    changed();
  };
  const stop = () => {
    if (place.watch !== null) navigator.geolocation.clearWatch(place.watch);
    place.watch = null;
  };
  /** Asks anew, since some phones give no fix again before they are moved. */
  const look = () => {
    stop();
    if (!("geolocation" in navigator)) return;
    const options = { enableHighAccuracy: true, maximumAge: 0, timeout: 30000 };
    place.watch = navigator.geolocation.watchPosition(take, fail, options);
  };
  const begin = (stands) => () => {
    Object.assign(place, { fix: null, stands });
    look();
    changed();
  };
  look();
  return {
    walk: begin(false), stand: begin(true), look, stop, best: () => place.fix,
    denied: () => place.denied || !("geolocation" in navigator),
  };
}
