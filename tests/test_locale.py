"""The Chinese texts are complete, and compiled from what is in the .po file."""

from pathlib import Path

import polib

FOLDER = Path(__file__).resolve().parents[1] / "locale" / "zh_Hans" / "LC_MESSAGES"


def test_every_text_has_a_translation() -> None:
    catalogue = polib.pofile(str(FOLDER / "django.po"))
    assert len(catalogue) > 300
    assert [entry.msgid for entry in catalogue if not entry.obsolete and not entry.translated()] == []
    assert [entry.msgid for entry in catalogue if "fuzzy" in entry.flags] == []


def test_the_compiled_texts_are_those_of_the_po_file() -> None:
    source = {entry.msgid: entry for entry in polib.pofile(str(FOLDER / "django.po")) if not entry.obsolete}
    compiled = {entry.msgid: entry for entry in polib.mofile(str(FOLDER / "django.mo"))}
    assert {key: (e.msgstr, e.msgstr_plural) for key, e in compiled.items()} == {
        key: (e.msgstr, e.msgstr_plural) for key, e in source.items()
    }
