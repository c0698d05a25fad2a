"""The one exception by which embedded servers say what is wrong."""


class EmbeddedError(Exception):
    """A sentence for the person at the terminal: what is wrong and what to do about it."""
