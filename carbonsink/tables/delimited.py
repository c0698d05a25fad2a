"""CSV files as spreadsheets and people save them: their encoding and their separator are found out."""

import codecs
import csv
import io
from functools import partial
from typing import BinaryIO

from django.utils.translation import gettext as _

from carbonsink.tables.opening import BLOCK, Rows, Table, bad_file

# The byte order marks, the longest first.
MARKS = [(codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")]
SEPARATORS = ",;\t|，；"
SAMPLE_LINES = 20


def open_delimited(file: BinaryIO, name: str, sha256: str, encoding: str = "") -> Table:
    """The table in a CSV file; DomainError when its encoding is unknown, or is not the one that was named."""
    encoding = encoding or find_encoding(file) or ""
    if not encoding or not _decodes(file, encoding):
        raise bad_file(
            _("The encoding of %(name)s is not known. Save it again as “CSV UTF-8”, or name it with --encoding.")
            % {"name": name}
        )
    size = file.seek(0, io.SEEK_END) or 1
    separator = _separator(file, encoding)
    return Table(
        name=name,
        sha256=sha256,
        read=partial(_rows, file, name, encoding, separator),
        done=lambda: file.tell() / size,
        form=encoding,
    )


def find_encoding(file: BinaryIO) -> str | None:
    """By its mark, else UTF-16 when every other byte of an ASCII header is 0, else UTF-8, else GB18030 (which GBK and
    GB2312 are part of); None when it is none of them."""
    file.seek(0)
    head = file.read(2000)
    for mark, encoding in MARKS:
        if head.startswith(mark):
            return encoding
    for encoding, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[::2])):
        if zeros.count(0) * 4 > len(zeros):
            return encoding
    return next((encoding for encoding in ("utf-8", "gb18030") if _decodes(file, encoding)), None)


def _decodes(file: BinaryIO, encoding: str) -> bool:
    file.seek(0)
    try:
        decoder = codecs.getincrementaldecoder(encoding)()
        while block := file.read(BLOCK):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except (UnicodeError, LookupError):
        return False
    return True


def _text(file: BinaryIO, encoding: str) -> io.TextIOWrapper:
    file.seek(0)
    return io.TextIOWrapper(file, encoding=encoding, newline="")


def _separator(file: BinaryIO, encoding: str) -> str:
    """The one that stands most often in the first lines."""
    text = _text(file, encoding)
    sample = "".join(text.readline(10_000) for _line in range(SAMPLE_LINES))
    text.detach()
    return max(SEPARATORS, key=sample.count)


def _rows(file: BinaryIO, name: str, encoding: str, separator: str) -> Rows:
    text = _text(file, encoding)
    reader = csv.reader(text, delimiter=separator)
    try:
        for cells in reader:
            if any(cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise bad_file(
            _('Line %(line)s of %(name)s is not CSV: a quotation mark (") is probably not closed.')
            % {"line": reader.line_num, "name": name}
        ) from error
    finally:
        text.detach()  # The file stays open: it is its owner's.
