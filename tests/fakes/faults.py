"""What can go wrong on the network with one connection, each as a play with its line; and what it is then to be called."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from ssl import SSLContext
from typing import Final

from fakes.certificates import Authority
from fakes.line import Line
from fakes.obliging import obliging
from fakes.scripted import Answer, Request

INTERVAL: Final = 0.05
"""Seconds between two bytes of what drips."""
DONE: Final = "done"
_TLS_ALERT: Final = b"\x15\x03\x01\x00\x02\x02\x46"
_BANNER: Final = b"SSH-2.0-OpenSSH_9.2\r\n"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """`play` has the connection that is spoiled; `code` is how an operation fails then, if it does.

    `hook` is the same for a webhook, of whose answer the status alone counts. What `hangs` ends by a time limit; what is in the
    `upload` needs a body that does not fit between both ends; after what is `clean` the connection may be used again.
    """

    play: Callable[[Line], Awaitable[None]]
    code: str
    hook: str = ""
    tls: bool = False
    hangs: bool = False
    upload: bool = False
    clean: bool = False


def _good(line: Line, request: Request) -> Answer:
    return obliging(request, scheme="https" if line.tls else "http")


async def _reset(line: Line) -> None:
    line.reset()


async def _close(line: Line) -> None:
    line.close()


async def _reset_in_handshake(line: Line) -> None:
    await line.receive()
    line.reset()


async def _hang_in_handshake(line: Line) -> None:
    await line.receive()
    await line.left_alone()


async def _plain_at_tls_port(line: Line) -> None:
    line.tls = None
    await line.open()
    await line.say(Answer(400, {"Connection": "close"}, b"<html></html>").encode())
    await line.left_alone()


async def _reset_after_head(line: Line) -> None:
    await line.open()
    await line.head()
    line.reset()


async def _close_after_request(line: Line) -> None:
    await line.open()
    await line.request()
    await line.hang_up()


async def _hang_before_request(line: Line) -> None:
    await line.left_alone()


async def _hang_after_request(line: Line) -> None:
    await line.open()
    await line.request()
    await line.left_alone()


async def _answer_late(line: Line) -> None:
    await line.open()
    request = await line.request()
    await line.left_alone()
    await line.say(_good(line, request).encode())


async def _begun(line: Line) -> None:
    """Read the head and a little of the body."""
    await line.open()
    head = await line.head()
    if head.method == "DELETE":  # of an upload that is given up
        await line.say(replace(obliging(head), headers={"Connection": "close"}).encode())
        raise ConnectionAbortedError
    await line.reader.readexactly(1000)


async def _reset_in_upload(line: Line) -> None:
    await _begun(line)
    line.reset()


async def _hang_in_upload(line: Line) -> None:
    await _begun(line)
    await line.left_alone()


async def _answer_before_upload(line: Line) -> None:
    await _begun(line)
    await line.say(Answer(403, {}, b"<html>no</html>").encode())
    await line.left_alone()


def _saying(
    *pieces: bytes, then: Callable[[Line], Awaitable[None]] = Line.left_alone
) -> Callable[[Line], Awaitable[None]]:
    """Read the request, say that, and then do this."""

    async def play(line: Line) -> None:
        await line.open()
        await line.request()
        for piece in pieces:
            await line.say(piece)
        await then(line)

    return play


def _repeating(head: bytes, piece: bytes) -> Callable[[Line], Awaitable[None]]:
    """Read the request, say the head, and then the piece without end."""

    async def play(line: Line) -> None:
        await line.open()
        await line.request()
        await line.say(head)
        while True:
            await line.say(piece)
            await asyncio.sleep(0)

    return play


def _dripping(encode: Callable[[Request], tuple[bytes, bytes]]) -> Callable[[Line], Awaitable[None]]:
    """Read the request, say the first at once, and of the second a byte now and then."""

    async def play(line: Line) -> None:
        await line.open()
        head, rest = encode(await line.request())
        await line.say(head)
        for byte in rest:
            await line.say(bytes([byte]))
            await asyncio.sleep(INTERVAL)

    return play


def _slow_head(request: Request) -> tuple[bytes, bytes]:
    answer = obliging(request)
    return b"", replace(answer, headers={"X-Slow": "y" * 8000, **answer.headers}).encode()


def _slow_body(request: Request) -> tuple[bytes, bytes]:
    answer = obliging(request)
    status = 200 if answer.status == 204 else answer.status
    padded = Answer(status, answer.headers, answer.body + b" " * 10_000).encode()
    at = padded.index(b"\r\n\r\n") + 4
    return padded[:at], padded[at:]


async def _old_http(line: Line) -> None:
    """A good answer whose end is the end of the connection."""
    await line.open()
    request = await line.request()
    answer = _good(line, request)
    names = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
    await line.say(f"HTTP/1.0 {answer.status} Fine\r\n{names}\r\n".encode() + answer.body)
    await line.hang_up()


async def _two_answers(line: Line) -> None:
    """A good answer, and one that nobody has asked for yet."""
    await line.open()
    request = await line.request()
    await line.say(_good(line, request).encode() + Answer(403, {}, b"<Code>AccessDenied</Code>").encode())
    await line.left_alone()


async def _serving_on(line: Line) -> None:
    """Go on as if nothing had been."""
    while True:
        await line.say(_good(line, await line.request()).encode())


def _redirecting(status: int) -> Callable[[Line], Awaitable[None]]:
    """Send elsewhere, to a place that nobody may ask."""
    return _saying(Answer(status, {"Location": "http://127.0.0.1:1/elsewhere"}).encode(), then=_serving_on)


def _bomb() -> bytes:
    content = gzip.compress(bytes(20_000_000))
    return Answer(403, {"Content-Encoding": "gzip", "Content-Type": "application/xml"}, content).encode()


def _untrusted(context: SSLContext) -> Callable[[Line], Awaitable[None]]:
    async def play(line: Line) -> None:
        line.tls = context
        await line.open()
        await line.request()

    return play


_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\n"
_REFUSED_IN_CHUNKS: Final = b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n"
_MORE: Final = b"X-More: and more\r\n" * 512
_BROKEN: Final = "endpoint_unreachable"
_STRANGE: Final = "not_a_storage_service"


def _connecting() -> Mapping[str, Fault]:
    return {
        "reset after connect": Fault(play=_reset, code=_BROKEN),
        "closed after connect": Fault(play=_close, code=_BROKEN),
        "reset in the handshake": Fault(play=_reset_in_handshake, code=_BROKEN, tls=True),
        "hang in the handshake": Fault(play=_hang_in_handshake, code="timeout", tls=True, hangs=True),
        "no TLS at the TLS port": Fault(play=_plain_at_tls_port, code="tls_failed", tls=True),
        "hang before anything is read": Fault(play=_hang_before_request, code="timeout", hangs=True),
    }


def _asking() -> Mapping[str, Fault]:
    return {
        "reset after the head of the request": Fault(play=_reset_after_head, code=_BROKEN),
        "closed after the request": Fault(play=_close_after_request, code=_BROKEN),
        "reset in the upload": Fault(play=_reset_in_upload, code=_BROKEN, upload=True),
        "hang in the upload": Fault(play=_hang_in_upload, code="timeout", upload=True, hangs=True),
        "answer before the upload has ended": Fault(play=_answer_before_upload, code="access_denied", upload=True),
        "hang after the request": Fault(play=_hang_after_request, code="timeout", hangs=True),
        "answer after the deadline": Fault(play=_answer_late, code="timeout", hangs=True),
    }


def _answering() -> Mapping[str, Fault]:
    length = _HEAD + b"Content-Length: 1000\r\n\r\nonly this"
    chunked = _HEAD + b"Transfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n"
    return {
        "reset after the first byte": Fault(play=_saying(b"H", then=_reset), code=_BROKEN),
        "reset in the head of the answer": Fault(play=_saying(_HEAD, then=_reset), code=_BROKEN),
        "reset in the body of the answer": Fault(play=_saying(length, then=_reset), code=_BROKEN, hook=DONE),
        "hang in the head of the answer": Fault(play=_saying(_HEAD), code="timeout", hangs=True),
        "hang in the body of the answer": Fault(play=_saying(length), code="timeout", hook=DONE, hangs=True),
        "a head that drips": Fault(play=_dripping(_slow_head), code="timeout", hangs=True),
        "a body that drips": Fault(play=_dripping(_slow_body), code="timeout", hook=DONE, hangs=True),
        "shorter than its length": Fault(play=_saying(length, then=Line.hang_up), code=_BROKEN, hook=DONE),
        "chunks without the last": Fault(play=_saying(chunked, then=Line.hang_up), code=_BROKEN, hook=DONE),
        "HTTP/1.0 without a length": Fault(play=_old_http, code=DONE),
        "two answers": Fault(play=_two_answers, code=DONE),
        "a banner": Fault(play=_saying(_BANNER), code=_STRANGE, hook=_BROKEN),
        "an alert of TLS": Fault(play=_saying(_TLS_ALERT), code=_STRANGE, hook=_BROKEN),
        "a length that is none": Fault(
            play=_saying(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), code=_STRANGE, hook=_BROKEN
        ),
        "a bomb of gzip": Fault(
            play=_saying(_bomb(), then=_serving_on), code="access_denied", hook="webhook_refused", clean=True
        ),
        **{
            f"redirected by {status}": Fault(play=_redirecting(status), code="redirect_refused", clean=True)
            for status in (300, 301, 302, 303, 307, 308)
        },
    }


ENDLESS: Final[Mapping[str, Fault]] = {
    "headers without end": Fault(play=_repeating(b"HTTP/1.1 200 OK\r\n", _MORE), code=_STRANGE, hook=_BROKEN),
    "a header without end": Fault(
        play=_repeating(b"HTTP/1.1 200 OK\r\nX-More: ", b"x" * 8192), code=_STRANGE, hook=_BROKEN
    ),
    "a status line without end": Fault(play=_repeating(b"HTTP/1.1 200 ", b"O" * 8192), code=_STRANGE, hook=_BROKEN),
    "a refusal without end": Fault(
        play=_repeating(b"HTTP/1.1 403 No\r\n\r\n", b"<Error>" * 2048), code="access_denied", hook="webhook_refused"
    ),
    "the size of a chunk without end": Fault(
        play=_repeating(_REFUSED_IN_CHUNKS, b"0" * 65_536),
        code=_BROKEN,
        hook="webhook_refused",
    ),
    "trailers without end": Fault(
        play=_repeating(_REFUSED_IN_CHUNKS + b"0\r\n" + _MORE, _MORE), code=_STRANGE, hook=_BROKEN
    ),
    "interim answers without end": Fault(
        play=_repeating(b"", b"HTTP/1.1 102 Processing\r\n\r\n" * 1024), code=_STRANGE, hook=_BROKEN
    ),
}
_PLAIN: Final[Mapping[str, Fault]] = {**_asking(), **_answering(), **ENDLESS}
_OVER_TLS: Final = (
    *("reset in the upload", "hang in the upload", "answer before the upload has ended", "hang after the request"),
    *("closed after the request", "hang in the body of the answer", "shorter than its length", "two answers"),
)
FAULTS: Final[Mapping[str, Fault]] = {
    **_connecting(),
    **_PLAIN,
    **{f"{name}, over TLS": replace(_PLAIN[name], tls=True) for name in _OVER_TLS},
}


def untrusted(trusted: Authority, other: Authority) -> Mapping[str, Fault]:
    """Return the certificates that nobody should trust who trusts the first authority."""
    contexts = {
        "a certificate for another name": trusted.server_context("other.example.net"),
        "a certificate that has expired": trusted.server_context(expired=True),
        "a certificate that signs itself": trusted.self_signed_context(),
        "a certificate of an unknown authority": other.server_context(),
    }
    return {name: Fault(play=_untrusted(tls), code="tls_failed", tls=True) for name, tls in contexts.items()}
