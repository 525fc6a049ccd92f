"""No memory of this process is written to disk when it crashes: secrets are in it.

A limit of 0 on the size of core files is not enough where the system hands them to a program (core(5): a core_pattern that
begins with `|`): it is then ignored. So on Linux the process is made undumpable too, which also keeps other processes of the same
user from reading its memory (ptrace(2), "Ptrace access mode checking").
"""

import ctypes
import os
import resource
import sys
from typing import Final

_PR_SET_DUMPABLE: Final = 4


def forbid_core_dumps() -> None:
    """Make sure that a crash of this process leaves nothing behind, for as long as it lives; raises OSError."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":  # pragma: no branch - elsewhere there is no such thing
        _make_undumpable()


def _make_undumpable() -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:  # pragma: no cover - never refused
        number = ctypes.get_errno()
        raise OSError(number, f"core dumps can't be switched off: {os.strerror(number)}")
