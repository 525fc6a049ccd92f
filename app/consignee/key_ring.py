"""The sealing keys as the operator gives them: in the environment, or in a file, which can be written too."""

import base64
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from consignee.errors import SettingsError
from consignee.secret import parse_ring
from consignee.settings import SecretsSettings
from consignee.store.disk import aside, make_directory, write_durably
from consignee.store.private import objection

VARIABLE = "CONSIGNEE_SECRETS__KEY"


class KeyRing:
    """One or more keys: the first seals, all of them open."""

    def __init__(self, settings: SecretsSettings) -> None:
        self._given = settings.key
        self._path = Path(settings.key_file)

    @property
    def is_file(self) -> bool:
        """Whether the keys are in a file, where they can be changed."""
        return self._given is None

    @property
    def source(self) -> str:
        """Where the keys are, in words."""
        return f"the key file {self._path}" if self.is_file else VARIABLE

    def read(self) -> tuple[bytes, ...] | None:
        """Return the keys, or None if there is no key file; raises SettingsError, which never quotes what is there."""
        if (text := self._text()) is None:
            return None
        try:
            return parse_ring(text)
        except ValueError as error:
            raise SettingsError(f"{self.source}: {error}") from None

    def _text(self) -> str | None:
        if self._given is not None:
            return self._given.reveal()
        try:
            if (wrong := objection(self._path, handed_over=True)) is not None:
                raise SettingsError(f"the key file can't be used ({VARIABLE} can take its place): {wrong}")
            return self._path.read_text()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{self.source} can't be read: {type(error).__name__}") from None

    def write(self, keys: Sequence[bytes]) -> None:
        """Make the file hold these keys: whole, durable and private on return. Raises SettingsError."""
        text = b"".join(base64.b64encode(key) + b"\n" for key in keys)
        path = Path(os.path.realpath(self._path))  # what a link leads to is replaced, not the link
        try:
            make_directory(self._path.parent)
            write_durably(path, text, mode=0o600)
        except OSError as error:
            with suppress(OSError):
                aside(path).unlink(missing_ok=True)
            told = f"{self.source} can't be written: {error.strerror}; where only you can change it, do that by hand"
            raise SettingsError(f"{told} (docs/secrets.md)") from None
