"""Sends a body from a thread, on a connection that asyncio has opened and goes on with afterwards.

asyncio copies every byte of a TLS connection several times, on the one thread that serves everybody. Here a thread reads,
encrypts and writes, while the loop keeps all the rest: connecting, what the other end says, time limits, and closing.
"""

import asyncio
import os
import select
import ssl
import struct
import threading
import time
from collections.abc import Generator
from contextlib import closing, suppress
from fcntl import ioctl
from termios import TIOCOUTQ
from typing import Any, Final, Self

from consignee.ending import ended

Blocks = Generator[memoryview, None, None]
"""Pieces that are made while they are asked for, which may block; each is good until the next one is."""

MOST: Final = 32
"""Bodies at once that have a thread each; the loop sends the others itself."""
LOOK_MS: Final = 50
"""How often a thread that can't send, or waits for the loop, looks whether it is still to."""
A_HEAD: Final = 8 * 1024
"""Bytes that a system may still hold which took all it was given: a handshake's last, and a request's head."""
_under_way: Final[set["Carriage"]] = set()


class Stopped(OSError):
    """Nobody wants the body to be sent any more."""


class SharedTls(ssl.SSLObject):
    """The TLS of a connection: the loop's, and for a while a thread's, which needs what asyncio keeps to itself."""

    incoming: ssl.MemoryBIO
    outgoing: ssl.MemoryBIO
    lock: threading.Lock

    def read(self, *arguments: Any) -> Any:
        """Return what came."""
        with self.lock:
            return super().read(*arguments)

    def write(self, data: Any) -> int:
        """Encrypt at least some of it; return how much."""
        with self.lock:
            return super().write(data)

    def unwrap(self) -> None:
        """Begin, or go on, to end it."""
        with self.lock:
            super().unwrap()

    def encrypted(self, data: memoryview) -> tuple[bytes, memoryview]:
        """Return what is to be sent, and what is left of the data until the other end, which negotiates anew, has said more."""
        write = super().write
        with self.lock:
            with suppress(ssl.SSLWantReadError):
                while data:
                    data = data[write(data) :]
            return self.outgoing.read(), data


class Context(ssl.SSLContext):
    """Makes connections whose TLS can be shared with a thread."""

    sslobject_class = SharedTls

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *arguments: Any, **options: Any) -> SharedTls:
        """Return the TLS of a new connection."""
        made = super().wrap_bio(incoming, outgoing, *arguments, **options)
        assert isinstance(made, SharedTls)
        made.incoming, made.outgoing, made.lock = incoming, outgoing, threading.Lock()
        return made


class Carriage:
    """One body on its way. `gone` is how many bytes the system has taken, those that TLS adds included; `broken` is what
    making the pieces raised."""

    def __init__(self, connection: asyncio.Transport, tls: SharedTls | None, blocks: Blocks) -> None:
        self.gone = 0
        self.broken: Exception | None = None
        self._connection = connection
        self._tls = tls
        self._blocks = blocks
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[OSError | None] = self._loop.create_future()
        self._stopped = False
        self._has_read = threading.Event()
        # Of its own: the loop may close the other one at any moment, and the system give its number to another file.
        self._fd = os.dup(connection.get_extra_info("socket").fileno())
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLOUT)

    @classmethod
    async def begin(cls, connection: asyncio.Transport | None, blocks: Blocks) -> Self | None:
        """Return the carriage when its thread has begun; None if that connection can't be shared, or no thread be had."""
        await asyncio.sleep(0)  # a loop may write with its next turn what it was given with this one
        await asyncio.sleep(0)
        if connection is None or len(_under_way) >= MOST or not _is_idle(connection):
            return None
        try:
            carriage = cls(connection, connection.get_extra_info("ssl_object"), blocks)
        except OSError:  # there are too many open files
            return None
        carriage._pause()
        try:
            threading.Thread(target=carriage._work, name="carriage", daemon=True).start()
        except RuntimeError:
            carriage._resume()
            os.close(carriage._fd)
            return None
        _under_way.add(carriage)
        return carriage

    async def end(self) -> None:
        """Return when all is sent, or raise OSError, or nothing if it is `broken`. Cancelled, it waits for the thread's end.

        A cancellation that comes when all is sent is none: the HTTP client cancels what writes when it has the answer.
        """
        cancelled = None
        try:
            await asyncio.wait([self._ended])
        except asyncio.CancelledError as interruption:
            cancelled = interruption
        await self.stop()
        failure = self._ended.result()
        if cancelled is not None:
            self._forgive(cancelled, sent=failure is None and self.broken is None)
        if failure is not None:
            await self._hear_out()
            raise failure

    def _forgive(self, cancelled: asyncio.CancelledError, *, sent: bool) -> None:
        if not sent or (task := asyncio.current_task()) is None:
            raise cancelled
        task.uncancel()

    async def stop(self) -> None:
        """Return when the thread has ended, whatever happens meanwhile."""
        self._stopped = True
        cancelled = await ended(self._ended)
        if self in _under_way:  # else the connection may be another body's by now
            _under_way.remove(self)
            self._resume()
        if cancelled is not None:
            raise cancelled

    async def _hear_out(self) -> None:
        """Let the loop take what the other end said before it hung up: it may be why."""
        for _ in range(3):
            await asyncio.sleep(0)

    def _pause(self) -> None:
        """Leave the TLS to the thread. Without TLS, loop and thread are not in each other's way."""
        if self._tls is not None and not self._connection.is_closing():
            self._connection.pause_reading()

    def _resume(self) -> None:
        if self._tls is not None and not self._connection.is_closing():
            self._connection.resume_reading()

    def _work(self) -> None:
        failure: OSError | None = None
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            try:
                with closing(self._blocks):
                    while (piece := self._next()) is not None:
                        self._send(piece)
            except OSError as error:
                failure = error
            except Exception as error:  # noqa: BLE001 - what was not sent to its end must not pass for sent
                self.broken = error
            finally:
                os.close(self._fd)
                self._loop.call_soon_threadsafe(self._ended.set_result, failure)

    def _next(self) -> memoryview | None:
        try:
            return next(self._blocks, None)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised where the body is sent
            self.broken = error
            return None

    def _send(self, piece: memoryview) -> None:
        if self._tls is None:
            self._write(piece)
            return
        while piece:
            records, piece = self._tls.encrypted(piece)
            self._write(memoryview(records))
            if piece:
                self._wait()
            if self._tls.incoming.pending:
                self._let_read()

    def _write(self, data: memoryview) -> None:
        while data:
            if self._stopped:
                raise Stopped
            try:
                taken = os.write(self._fd, data)
                data = data[taken:]
                self.gone += taken
            except BlockingIOError:
                if not self._poll.poll(LOOK_MS) and self._tls is not None and self._tls.incoming.pending:
                    self._let_read()

    def _wait(self) -> None:
        """Look a moment later what has come."""
        if self._stopped:
            raise Stopped
        time.sleep(LOOK_MS / 1000)

    def _let_read(self) -> None:
        """Wait until the loop has read what came; if it is an answer, that is the end."""
        self._has_read.clear()
        self._loop.call_soon_threadsafe(self._read)
        while not self._has_read.wait(LOOK_MS / 1000):
            if self._loop.is_closed():
                raise Stopped

    def _read(self) -> None:
        self._resume()
        # After the reading, which the loop has just been asked to do, and what it writes for that with its next turns.
        self._loop.call_soon(self._loop.call_soon, self._loop.call_soon, self._has_been_read)

    def _has_been_read(self) -> None:
        if not self._stopped:
            self._pause()
        self._has_read.set()


def _is_idle(connection: asyncio.Transport) -> bool:
    """Whether all that was written on it has been sent, and its TLS, if it has any, can be shared."""
    found, tls = connection.get_extra_info("socket"), connection.get_extra_info("ssl_object")
    if connection.is_closing() or found is None or found.fileno() < 0 or connection.get_write_buffer_size():
        return False
    # What waits below the TLS isn't told by its transport: it only waits where the system has as much as it takes.
    return tls is None or (isinstance(tls, SharedTls) and not tls.outgoing.pending and unsent(found) <= A_HEAD)


def unsent(connection: Any) -> int:
    """Return how many bytes the system holds that are still to be sent, or to be acknowledged."""
    held: int = struct.unpack("i", ioctl(connection.fileno(), TIOCOUTQ, bytes(4)))[0]
    return held
