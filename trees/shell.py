"""What the field app consists of: its files and, made from their content, its version.

The service worker keeps all files of one version in one cache. So its script changes with each file, and a phone
loads either all of a new version or none of it. The files go by their plain names: the version takes the place of the
hashes that other pages have in theirs.
"""

import functools
import hashlib
import json
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles import finders
from django.template.loader import render_to_string
from django.templatetags.static import static as hashed
from django.urls import reverse
from django.utils.translation import get_language, get_language_info

from trees.wording import app_data

# Scripts of the page, in no particular order; the worker itself is not among its files.
FILES = [
    "app.js", "checks.js", "day.js", "dom.js", "household.js", "parts.js", "position.js", "records.js",
    "registration.js", "server.js", "signature.js", "status.js", "store.js", "sync.js", "today.js", "tree.js",
    "treeform.js", "waiting.js", "field.css", "icon.svg",
]  # fmt: skip
ICONS = [("icon-192.png", "192x192", "any"), ("icon-512.png", "512x512", "any maskable")]


def address(name: str) -> str:
    """Where a file of the app is fetched."""
    return f"/{settings.STATIC_URL.strip('/')}/field/{name}"


@functools.cache
def content(name: str) -> str:
    """The text of a file of the app."""
    found = finders.find(f"field/{name}")
    if found is None:
        raise FileNotFoundError(f"static/field/{name} is missing")
    return Path(found).read_text(encoding="utf-8")


def page() -> str:
    """The app's page in the active language: the same for every officer, without anything personal."""
    language = get_language() or settings.LANGUAGE_CODE
    data = app_data(language) | {
        "sign_in": f"{reverse('sign-in')}?next={reverse('trees:field')}",
        "set_language": reverse("set_language"),
        "worker": reverse("trees:field-worker"),
    }
    other = next(code for code, _name in settings.LANGUAGES if code != language)
    return render_to_string(
        "field/app.html",
        {
            "app": data,
            "language": language,
            "other": get_language_info(other),
            "other_code": other,
            "css": address("field.css"),
            "script": address("app.js"),
            "icon": address("icon.svg"),
            "touch_icon": address("icon-192.png"),
        },
    )


def worker(*, module: bool) -> str:
    """The service worker's script in the active language, with what it is to keep put before it. As a module it can
    send by itself."""
    files = {name: content(name) for name in [*FILES, "worker.js"]}
    whole = json.dumps([files, page()], sort_keys=True)
    shell = {
        "version": hashlib.sha256(whole.encode()).hexdigest()[:16],
        "page": reverse("trees:field"),
        "source": f"{reverse('trees:field')}?language={get_language()}",
        "files": [address(name) for name in FILES],
    }
    head = f'import {{ sync }} from "{address("sync.js")}";' if module else "const sync = null;"
    return f"{head}\nconst SHELL = {json.dumps(shell)};\n{files['worker.js']}"


def manifest() -> dict[str, object]:
    """The web app manifest, by which a phone installs the app."""
    data = app_data(get_language() or settings.LANGUAGE_CODE)
    icons = [
        {"src": hashed(f"field/{name}"), "sizes": sizes, "purpose": use, "type": "image/png"}
        for name, sizes, use in ICONS
    ]
    return {
        "id": reverse("trees:field"),
        "name": data["texts"]["app_name"],
        "short_name": data["texts"]["app_name"],
        "start_url": reverse("trees:field"),
        "scope": reverse("trees:field"),
        "display": "standalone",
        "orientation": "portrait",
        "background_color": "#ffffff",
        "theme_color": "#1e4d38",
        "icons": icons,
    }
