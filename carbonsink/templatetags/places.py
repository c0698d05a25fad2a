"""Template filter for names of places."""

import re

from django import template

register = template.Library()

# The statistical codes name the committee that governs a village or neighbourhood, not the place itself.
_COMMITTEE = re.compile(r"(村民委员会|居民委员会|居委会|(?<=村)委会)$")


@register.filter
def place(name: str) -> str:
    """The name of a place as people say it: 八洛村村民委员会 → 八洛村, 河滨社区居民委员会 → 河滨社区."""
    return _COMMITTEE.sub("", name) or name
