"""`.env.example` names each setting that the environment can give, and no other."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_every_setting_is_documented_and_nothing_else() -> None:
    files = ("environment.py", "settings.py", "money_settings.py", "buckets.py")
    source = "".join((ROOT / "carbonsink" / name).read_text() for name in files)
    read = set(re.findall(r'(?:env\.\w+|secret)\(\s*"([A-Z_0-9]+)"', source))
    documented = set(re.findall(r"^(?:# )?([A-Z_0-9]+)=", (ROOT / ".env.example").read_text(), re.M))
    assert len(read) > 30
    assert documented == read
