"""How the admin looks: our name and our green."""

from typing import Any


def favicon(_request: Any) -> str:
    """The address of our icon. The import waits: settings are read before there are any."""
    from django.templatetags.static import static

    return static("img/favicon.svg")


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "单株碳汇",
    "SITE_HEADER": "单株碳汇",
    "SITE_SYMBOL": "park",
    "SITE_URL": "/",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": favicon}],
    "COLORS": {
        "primary": {
            "50": "#f0f7f2", "100": "#dcebe1", "200": "#bcd8c6", "300": "#8fbda0", "400": "#5c9c75",
            "500": "#3a7f57", "600": "#2a6644", "700": "#225238", "800": "#1d422e", "900": "#163527",
            "950": "#0b1e16",
        }
    },
}  # fmt: skip
