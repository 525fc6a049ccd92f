"""The control socket: how commands reach a running server. It lies in the store's directory, which is the operator's alone."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

NAME: Final = "control.sock"
_LONGEST: Final = 100
"""A socket's path has at most 107 bytes on Linux (unix(7)), fewer elsewhere."""


@contextlib.contextmanager
def socket_path(directory: str | Path) -> Iterator[str]:
    """Yield a path to the socket in a directory that is short enough to be used, for as long as the block lasts."""
    path = os.path.join(directory, NAME)
    if len(os.fsencode(path)) <= _LONGEST:
        yield path
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{NAME}"
    finally:
        os.close(descriptor)


def is_served(path: str) -> bool:
    """Whether a server listens at the socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
    return True
