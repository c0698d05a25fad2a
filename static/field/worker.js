// The service worker of the field app. The server puts before it what it consists of: `SHELL` = {version, page, source, files},
// and, where the browser has workers that are modules, `sync` from sync.js; without it `sync` is null.
//
// All files of one version live in one cache: a phone never mixes two versions.
/* global SHELL, sync */

const CACHE = `field-${SHELL.version}`;

self.addEventListener("install", (event) => {
  event.waitUntil(
    (async () => {
      const cache = await caches.open(CACHE);
      const page = await fetch(SHELL.source, { credentials: "same-origin", cache: "reload" });
      // Signed out, the server answers with the sign-in page: that is not the app.
      if (!page.ok || page.redirected) throw new Error("The app's page could not be loaded.");
      await cache.put(SHELL.page, page);
      await cache.addAll(SHELL.files.map((file) => new Request(file, { cache: "reload" })));
    })(),
  );
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      const old = (await caches.keys()).filter((name) => name.startsWith("field-") && name !== CACHE);
      await Promise.all(old.map((name) => caches.delete(name)));
      await self.clients.claim();
    })(),
  );
});

self.addEventListener("fetch", (event) => {
  const { pathname, origin } = new URL(event.request.url);
  if (event.request.method !== "GET" || origin !== self.location.origin) return;
  const isPage = event.request.mode === "navigate" && pathname === SHELL.page;
  if (!isPage && !SHELL.files.includes(pathname)) return;
  event.respondWith(
    caches
      .open(CACHE)
      .then((cache) => cache.match(isPage ? SHELL.page : pathname))
      .then((found) => found || fetch(event.request)),
  );
});

self.addEventListener("message", (event) => {
  if (event.data === "take over") self.skipWaiting();
});

self.addEventListener("sync", (event) => {
  if (!sync) return;
  event.waitUntil(
    sync().then((outcome) => {
      // The browser tries again by itself when the promise fails.
      if (outcome === "unreachable" || outcome === "troubled") throw new Error(outcome);
    }),
  );
});
