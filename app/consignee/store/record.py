"""The lines of a store's files.

    {"sum":"1a2b3c4d","format":1,"kind":"destinations","written":"2026-01-31T12:00:00+00:00"}
    {"sum":"5e6f7a8b","account":"a","id":"0A1B2C3D","revision":3,"data":{…}}

`sum` is the CRC-32 of the rest of the line, from the byte after the comma that follows it to the closing
brace. The order of the keys is fixed, so that a replay can cut a line into parts without decoding its data.
`"data":null` says that the document was removed. Control characters are escaped, so a line ends at its
first newline and never holds a NUL.
"""

import json
import re
import zlib
from collections.abc import Callable
from datetime import datetime
from typing import Final, NamedTuple

from consignee.store import Data, Document

FORMAT: Final = 1
_REST: Final = len('{"sum":"00000000",')
_STRING: Final = rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)"'
_HEAD: Final = (
    rb'\{"sum":"([0-9a-f]{8})","account":' + _STRING + rb',"id":' + _STRING + rb',"revision":([1-9][0-9]{0,15}),'
)
_RECORD: Final = re.compile(_HEAD + rb'"data":(null|\{.*)\}\n', re.DOTALL)
_REVISION: Final = b',"revision":'


def _encoder() -> Callable[[object], str]:
    """Return json's encoder in C, made once: `json.dumps` makes it anew for each document, which takes as long as one."""
    plain = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    if (make := getattr(json.encoder, "c_make_encoder", None)) is None:
        return plain.encode
    encode = make(None, plain.default, json.encoder.encode_basestring, None, ":", ",", False, False, False)
    return lambda value: "".join(encode(value, 0))


_encode: Final = _encoder()
_quoted: Final[Callable[[str], str]] = json.encoder.encode_basestring


class Record(NamedTuple):
    """What a replay needs to know of a line."""

    account: str
    id: str
    revision: int
    removed: bool


class NewerFormat(ValueError):
    """The file was written by a later version."""


def encode_record(account: str, id: str, revision: int, data: Data | None) -> bytes:  # noqa: A002
    """Return the line; raises ValueError or TypeError for what is not JSON (NaN, a lone surrogate, a set, no end)."""
    text = "null" if data is None else encode_data(data)
    return _seal(f'"account":{_quoted(account)},"id":{_quoted(id)},"revision":{revision},"data":{text}}}'.encode())


def encode_data(data: Data) -> str:
    """Return the JSON of a document's data; raises ValueError or TypeError for what is none, but lets lone surrogates pass."""
    try:
        return _encode(data if isinstance(data, dict) else dict(data))
    except RecursionError:
        raise ValueError("it holds itself, or is nested too deeply") from None


def encode_header(kind: str, written: datetime) -> bytes:
    """Return the first line of a file."""
    fields = {"format": FORMAT, "kind": kind, "written": written.isoformat(timespec="seconds")}
    return _seal(_encode(fields)[1:].encode())


def _seal(rest: bytes) -> bytes:
    return b'{"sum":"%08x",%b\n' % (zlib.crc32(rest), rest)


def decode_document(line: bytes) -> Document:
    """Return the document that a line with data holds."""
    fields = json.loads(line)
    return Document(fields["account"], fields["id"], fields["revision"], fields["data"])


def revision_in(line: bytes) -> int:
    """Return the revision of the document that a line holds."""
    start = line.index(_REVISION) + len(_REVISION)  # not within account or id: quotes are escaped there
    return int(line[start : line.index(b",", start)])


def parse_record(line: bytes) -> Record:
    """Return what a whole line says, its data left alone; raises ValueError, with why, if it is damaged."""
    return Record(*parse_parts(line))


def parse_parts(line: bytes) -> tuple[str, str, int, bool]:
    """Return what `parse_record` returns, without making a Record: a start does this for each line that there is."""
    parts = _RECORD.fullmatch(line)
    if parts is None or parts[1] != b"%08x" % zlib.crc32(line[_REST:-1]):
        _checked(line)
        raise ValueError("it is not a record")
    _, account, id_, revision, data = parts.groups()
    if b"\\" in account or b"\\" in id_:
        return _text(account), _text(id_), int(revision), data == b"null"
    return account.decode(), id_.decode(), int(revision), data == b"null"


def check_header(line: bytes, kind: str) -> None:
    """Raise ValueError, with why, unless this may begin a file of that kind; NewerFormat for a newer one."""
    try:
        fields = json.loads(b"{" + _checked(line))
    except ValueError:
        raise ValueError("the header is damaged, or was written by a newer version of consignee") from None
    if not isinstance(number := fields.get("format"), int):
        raise ValueError("it is not a header")
    if number > FORMAT:
        raise NewerFormat(f"it was written by a newer version of consignee (format {number})")
    if fields.get("kind") != kind:
        raise ValueError(f"the header says that it holds {fields.get('kind')!r}")


def _checked(line: bytes) -> bytes:
    rest = line[_REST:-1]
    if line != b'{"sum":"%08x",%b\n' % (zlib.crc32(rest), rest):
        raise ValueError("the checksum does not match")
    return rest


def _text(raw: bytes) -> str:
    text: str = json.loads(b'"' + raw + b'"')
    return text
