"""Where originals lie, on a machine without a store of its own for files."""

from pathlib import Path
from uuid import uuid4

from django.core.files import File
from django.core.files.storage import FileSystemStorage


class EvidenceFolder(FileSystemStorage):
    """A folder in which a file bears its name only once it is whole, as in a bucket: nobody takes what is still being
    written for what a dead process left. Names tell the content, so that the same one may be written twice."""

    def _save(self, name: str, content: File) -> str:
        draft = f"{name}.{uuid4().hex}.part"
        try:
            super()._save(draft, content)  # type: ignore[misc]
            Path(self.path(draft)).replace(self.path(name))
        except BaseException:
            self.delete(draft)
            raise
        return name
