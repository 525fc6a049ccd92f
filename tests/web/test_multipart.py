"""Multipart bodies as clients send them, and as none should."""

import time
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consignee.web.errors import BadRequest
from consignee.web.multipart import HEAD_BYTES, Parts, boundary_of

Read = list[tuple[str, str | None, bytes]]


async def pieces(body: bytes, size: int) -> AsyncIterator[bytes]:
    """Yield a body in pieces of a size."""
    for start in range(0, len(body), size):
        yield body[start : start + size]


async def read(body: bytes, *, size: int = 65536, boundary: str = "XX") -> Read:
    """Return the name, the file name and the content of every part."""
    parts, found = Parts(pieces(body, size), boundary), Read()
    while (part := await parts.next()) is not None:
        found.append((part.name, part.filename, b"".join([chunk async for chunk in part.chunks])))
    return found


def body(*parts: tuple[bytes, bytes]) -> bytes:
    """Return a body of parts, each of its headers and its content."""
    return b"".join(b"--XX\r\n%b\r\n\r\n%b\r\n" % part for part in parts) + b"--XX--\r\n"


def disposed(parameters: bytes) -> bytes:
    """Return a body of one empty part with such a Content-Disposition."""
    return body((b"Content-Disposition: form-data" + parameters, b""))


async def problem(content: bytes, *, size: int = 65536) -> BadRequest:
    """Return what is wrong with a body."""
    with pytest.raises(BadRequest) as raised:
        await read(content, size=size)
    return raised.value


@given(
    contents=st.lists(
        st.one_of(st.binary(max_size=60), st.sampled_from([b"\r\n", b"\r\n--X", b"--XX", b"\r\n--\r\n"]))
    ),
    size=st.integers(1, 200),
)
async def test_contents_arrive_as_they_are_in_whatever_pieces(contents: list[bytes], size: int) -> None:
    """Also contents that look like the beginning of a delimiter."""
    contents = [one.replace(b"\r\n--XX", b"") for one in contents]
    parts = [
        (b'Content-Disposition: form-data; name="n"; filename="%d"' % index, one) for index, one in enumerate(contents)
    ]
    assert await read(body(*parts), size=size) == [("n", str(index), one) for index, one in enumerate(contents)]


@pytest.mark.parametrize(
    ("parameters", "filename"),
    [
        (b'; name="f"; filename="a.txt"', "a.txt"),
        (b";name=f;filename=a.txt;", "a.txt"),
        (b'; name="f"; filename="a; b=c; d.txt"', "a; b=c; d.txt"),
        ('; name="f"; filename="Büro 日本 🎉.txt"'.encode(), "Büro 日本 🎉.txt"),
        (b"; name=f; filename*=UTF-8''B%C3%BCro%20%22%251.txt", 'Büro "%1.txt'),
        (b"; name=f; filename*=utf-8'de'%e2%82%ac", "€"),
        (b"; name=f; filename=\"old.txt\"; filename*=UTF-8''n%C3%A9w.txt", "néw.txt"),
        (b'; name="f"; filename="a\\"b\\"c.txt"', 'a"b"c.txt'),
        (b'; name="f"; filename="a%22b%20c.txt"', "a%22b%20c.txt"),
        (b'; name="f"; filename="C:\\dir\\x.txt"', "C:\\dir\\x.txt"),
        (b'; name="f"; filename="a\\\\b"', "a\\b"),
        (b'; name="f"; filename=""', ""),
        (b'; filename="no field"', "no field"),
        (b'; name="f"', None),
    ],
)
async def test_a_file_has_the_name_that_the_client_meant(parameters: bytes, filename: str | None) -> None:
    """Semicolons, quotation marks behind a backslash, UTF-8, and never a name from which something was taken away."""
    assert [part[1] for part in await read(disposed(parameters))] == [filename]


@pytest.mark.parametrize(
    "parameters",
    [
        b'; name="f"; filename="a',
        b'; name="f"; filename="a\\"',
        b'; name="f"; filename="a" b',
        b'; name="f"; filename=',
        b'; name="f"; filename="a"; filename="b"',
        b'; name="f"; filename="a"; FileName="b"',
        b"; name=f; filename*=UTF-8''%FF",
        b"; name=f; filename*=iso-8859-1''a",
        b"; name=f; filename*=plain",
        b"; name=f; filename*0=a; filename*1=b",
        b"; name=f; filename*0*=UTF-8''a",
        b"",
        b"; other=1",
        b'; name="f"; filename="\xff"',
        b'; name="f"; filename="a\x00b"',
        b'; name="f"; filename="a\rb"',
        b'; name="f"\r\nContent-Disposition: form-data; name="g"',
        b'; name="f"\r\nno header',
        b'; name="f"\r\n folded',
        b'; name="f"\r\nBad Name: x',
        b'; name="f"\r\n: x',
    ],
)
async def test_a_part_whose_headers_are_not_clear_is_refused(parameters: bytes) -> None:
    """None is taken for a field that may be ignored: a file would be lost without a word."""
    assert (await problem(disposed(parameters))).code == "invalid_request"


@pytest.mark.parametrize("header", [b"Content-Type: text/plain", b"Content-Disposition: attachment; filename=a", b""])
async def test_a_part_without_its_disposition_is_refused(header: bytes) -> None:
    assert "Content-Disposition" in str(await problem(body((header, b""))))


@pytest.mark.parametrize("header", [b"Content-Transfer-Encoding", b"content-encoding"])
async def test_only_a_part_that_is_not_encoded_is_accepted(header: bytes) -> None:
    named = b'Content-Disposition: form-data; name="f"; filename="a"\r\n%b: %b'
    for plain in (b"identity", b"7bit", b"8BIT", b"binary", b""):
        assert await read(body((named % (header, plain), b"x"))) == [("f", "a", b"x")]
    for encoded in (b"base64", b"quoted-printable", b"gzip", b"binary, gzip"):
        assert (await problem(body((named % (header, encoded), b"x")))).code == "unsupported_media_type"


GOOD = body((b'Content-Disposition: form-data; name="f"; filename="a"', b"content"))


@pytest.mark.parametrize("size", [1, 7, 65536])
async def test_a_body_that_ends_anywhere_before_its_end_is_refused(size: int) -> None:
    """Wherever it is cut off, up to the last hyphen."""
    last = GOOD.rindex(b"--") + 2
    for end in range(last):
        assert (await problem(GOOD[:end], size=size)).code == "invalid_request"
    for end in range(last, len(GOOD) + 1):
        assert await read(GOOD[:end], size=size) == [("f", "a", b"content")]


@given(begin=st.integers(0, len(GOOD)), length=st.integers(0, 12), inserted=st.binary(max_size=12))
async def test_whatever_is_sent_is_read_or_refused(begin: int, length: int, inserted: bytes) -> None:
    """Nothing else is raised."""
    try:
        found = await read(GOOD[:begin] + inserted + GOOD[begin + length :], size=9)
    except BadRequest as refused:
        found, codes = [], {refused.code}
    else:
        codes = set()
    assert codes <= {"invalid_request", "unsupported_media_type"}
    assert all(isinstance(content, bytes) for _, _, content in found)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nonsense",
        GOOD.replace(b"\r\n", b"\n"),
        GOOD.replace(b"--XX\r\n", b"--XXX\r\n"),
        GOOD.replace(b"--XX--", b"--XX-x"),
        GOOD.replace(b"content\r\n--XX--", b"content--XX--"),
        b"x" * (HEAD_BYTES + 1) + b"\r\n" + GOOD,
        GOOD + b"x" * HEAD_BYTES,
        body((b"X: " + b"x" * HEAD_BYTES, b"")),
        body((b"\r\n".join(b"X%d: y" % number for number in range(17)), b"")),
        body((b"\r\n".join(b"X%d: %b" % (number, b"y" * 1000) for number in range(12)), b"")),
    ],
    ids=lambda content: repr(content[:20]),
)
async def test_a_body_that_is_no_multipart_or_has_no_measure_is_refused(content: bytes) -> None:
    assert (await problem(content, size=100)).code == "invalid_request"


async def test_what_stands_before_the_parts_is_ignored_and_so_is_what_nobody_reads() -> None:
    around = b"preamble\r\n" + GOOD.replace(b"--XX\r\n", b"--XX \t\r\n") + b" \t\r\n\r\n"
    assert await read(around) == [("f", "a", b"content")]
    parts = Parts(pieces(GOOD, 5), "XX")
    first = await parts.next()
    assert first is not None and first.filename == "a"
    assert await parts.next() is None


@pytest.mark.parametrize("epilogue", [b"epilogue", b"\r\n x", b"x", GOOD, b"\0", b" " * HEAD_BYTES])
@pytest.mark.parametrize("size", [1, len(GOOD), len(GOOD) + 2, 65536])
async def test_content_behind_the_last_boundary_is_refused(epilogue: bytes, size: int) -> None:
    """It would be lost without a word; also where all of it is there already when the end is read."""
    assert "goes on after its last boundary" in str(await problem(GOOD + epilogue, size=size))


BLANKS = HEAD_BYTES - 200
DISPOSED = b"Content-Disposition: form-data"


@pytest.mark.parametrize(
    "header",
    [
        b"a:" + b" " * BLANKS + b"\x01",
        b"a:" + b"\t " * (BLANKS // 2) + b"\x01",
        b"a" * BLANKS,
        DISPOSED + b";" + b" " * BLANKS + b"=",
        DISPOSED + b"; name" + b" " * BLANKS + b";",
        DISPOSED + b"; name=" + b" " * BLANKS + b";x",
        DISPOSED + b"; " + b"n" * BLANKS,
        DISPOSED + b"; name=a" + b" " * BLANKS + b"x",
        DISPOSED + b'; name="' + b"\\" * BLANKS,
        DISPOSED + b'; name="' + b"\\a" * (BLANKS // 2),
        DISPOSED + b'; name="' + b"a" * BLANKS,
        DISPOSED + b"; a=b" * (BLANKS // 5),
    ],
    ids=lambda header: repr(header[-40:]),
)
async def test_a_hostile_header_takes_no_longer_than_a_good_one(header: bytes) -> None:
    """What is quadratic takes a quarter of a second for these 8 KB, while all else waits; what is linear, next to none."""
    content = body((header, b""))
    taken = []
    for _ in range(3):
        began = time.process_time()
        assert (await problem(content)).code == "invalid_request"
        taken.append(time.process_time() - began)
    assert min(taken) < 0.1


async def test_a_body_may_have_no_part() -> None:
    assert await read(b"--XX--\r\n") == []


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=abc", "abc"),
        ('multipart/form-data; charset=utf-8; boundary="a b:c"', "a b:c"),
        ("multipart/form-data;boundary=----=_Part_0_1.2", "----=_Part_0_1.2"),
    ],
)
def test_the_boundary_is_the_one_that_is_named(content_type: str, boundary: str) -> None:
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize(
    "parameters", ["", "; boundary=", '; boundary=""', "; boundary=" + "x" * 71, '; boundary="a "', "; boundary=ä"]
)
def test_a_boundary_that_is_none_is_refused(parameters: str) -> None:
    with pytest.raises(BadRequest, match=r"boundary|parameters"):
        boundary_of("multipart/form-data" + parameters)
