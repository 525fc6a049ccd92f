"""Where a running service is, and with which key it is asked: as the options say, or the settings."""

from pathlib import Path
from typing import Final

from consignee.client.place import checked_key, checked_url
from consignee.commands.fields import standard_input
from consignee.errors import SettingsError
from consignee.secret import Secret
from consignee.settings import Settings

_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "[::]": "::1"}  # noqa: S104 - asked where to listen, not told


def url_of(given: str | None, settings: Settings) -> str:
    """Return where the service is; raises SettingsError."""
    where = "--url" if given is not None else "client.url" if settings.client.url else "server.host"
    try:
        return checked_url(given if given is not None else settings.client.url or _own_url(settings))
    except ValueError as error:
        raise SettingsError(f"{where} {error}") from None


def _own_url(settings: Settings) -> str:
    if not settings.server.port:
        raise SettingsError("the settings leave the port open: say with --url where the service is")
    host = _EVERYWHERE.get(settings.server.host, settings.server.host)
    return f"http://[{host}]:{settings.server.port}" if ":" in host else f"http://{host}:{settings.server.port}"


def key_of(file: str | None, settings: Settings) -> Secret:
    """Return the API key: of that file, of standard input for `-`, or of the settings; raises SettingsError, OSError."""
    if file is not None:
        where = "standard input" if file == "-" else file
        try:
            return _key_in(standard_input().readline() if file == "-" else Path(file).read_text(), where)
        except UnicodeDecodeError:
            raise SettingsError(f"{where} must hold an API key, and nothing else") from None
    if settings.client.api_key is not None:
        return _key_in(settings.client.api_key.reveal(), "client.api_key")
    if len(settings.accounts.fixed) != 1:
        raise SettingsError(
            "say with --key-file in which file the API key is, - for standard input, or set CONSIGNEE_CLIENT__API_KEY_FILE"
        )
    return settings.accounts.fixed[0].api_key


def _key_in(text: str, where: str) -> Secret:
    try:
        return checked_key(Secret(text.strip()))
    except ValueError as error:
        raise SettingsError(f"{where} {str(error).replace('be', 'hold', 1)}") from None
