"""Settings: one TOML file and the environment, as frozen dataclasses. Nothing else reads the environment."""

import difflib
import json
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from consignee.errors import SettingsError
from consignee.rules import demand
from consignee.secret import Secret
from consignee.sections import (
    SECTIONS,
    SETTINGS,
    TABLES,
    AccountsSettings,
    EgressSettings,
    FixedAccount,
    LimitsSettings,
    LogSettings,
    MetricsSettings,
    Name,
    ProviderSettings,
    SecretsSettings,
    ServerSettings,
    Setting,
    Settings,
    StoreSettings,
    VerificationSettings,
)
from consignee.staging_section import StagingSettings

__all__ = [
    "SETTINGS",
    "AccountsSettings",
    "EgressSettings",
    "FixedAccount",
    "LimitsSettings",
    "LogSettings",
    "MetricsSettings",
    "ProviderSettings",
    "SecretsSettings",
    "ServerSettings",
    "Setting",
    "Settings",
    "StagingSettings",
    "StoreSettings",
    "VerificationSettings",
    "describe",
    "load_settings",
]

_PREFIX: Final = "CONSIGNEE_"
_SPACED: Final = (("secrets", "key"), ("staging", "gcs_service_account_json"))
"""White space stands in them where it means nothing, also line ends, as it may in a file."""
_ACCOUNT = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PROVIDER = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
# Kubernetes sets these in every container beside a service of our name; they are not the operator's mistake.
_FROM_CLUSTER = re.compile(
    r"CONSIGNEE_(SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)=.*|PORT_[0-9]+_[A-Z]+(_[A-Z]+)?=.*|PORT=[a-z]+://.*)"
)


@dataclass(frozen=True)
class _Kind:
    """How a type is written: `accepts` judges what TOML gave, `of_text` makes the like of a variable."""

    expected: str
    accepts: Callable[[Any], object]
    of_text: Callable[[str], Any] = str
    make: Callable[[Any], Any] = lambda raw: raw


def _is_text(raw: object) -> bool:
    return isinstance(raw, str) and raw.isprintable()


def _is_account(raw: object) -> bool:
    return (
        isinstance(raw, dict)
        and raw.keys() == {"name", "api_key"}
        and all(_is_text(value) and value for value in raw.values())
        and _ACCOUNT.fullmatch(raw["name"]) is not None
    )


def _number(text: str) -> float | None:
    if re.fullmatch(r"-?[0-9]{1,12}", text):
        return int(text)
    return float(text) if re.fullmatch(r"-?[0-9]{1,12}\.[0-9]{1,12}", text) else None


_TEXT: Final = "text without control characters"
_KINDS: Final[Mapping[Any, _Kind]] = {
    bool: _Kind(
        "true or false",
        lambda raw: isinstance(raw, bool),
        lambda text: {"true": True, "1": True, "false": False, "0": False}.get(text.lower()),
    ),
    int: _Kind("a whole number", lambda raw: type(raw) is int, _number),
    float: _Kind("a number", lambda raw: type(raw) in (int, float), _number),
    str: _Kind(_TEXT, _is_text),
    Secret: _Kind(_TEXT, _is_text, make=Secret),
    Secret | None: _Kind(_TEXT, _is_text, make=Secret),
    tuple[str, ...]: _Kind(
        "a list of texts",
        lambda raw: isinstance(raw, list) and all(map(_is_text, raw)),
        lambda text: [part.strip() for part in text.split(",") if part.strip()],
        tuple,
    ),
    tuple[FixedAccount, ...]: _Kind(
        "tables in the file, each of a name (1 to 64 of A-Z a-z 0-9 . _ -) and an api_key",
        lambda raw: isinstance(raw, list) and all(map(_is_account, raw)),
        make=lambda raw: tuple(FixedAccount(entry["name"], Secret(entry["api_key"])) for entry in raw),
    ),
}


def load_settings(path: Path | None = None, *, environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the defaults, overridden by the file, overridden by the environment; raises SettingsError."""
    found: dict[Name, tuple[Any, str]] = {}
    for name, raw in _written(path) if path is not None else ():
        found[name] = _checked(_find(name, str(path)), name, raw, str(path)), "file"
    for variable, name, text in _overrides(environ):
        setting = _find(name, variable, spell=_variable)
        if name in _SPACED:
            text = " ".join(text.split())
        found[name] = _checked(setting, name, _KINDS[setting.type].of_text(text), variable), "environment"
    return _build(found)


def _build(found: Mapping[Name, tuple[Any, str]]) -> Settings:
    def inside(*prefix: str) -> dict[str, Any]:
        return {name[-1]: value for name, (value, _) in found.items() if name[:-1] == prefix}

    types = sorted({name[1] for name in found if name[0] == "providers"})
    return Settings(
        **{name: section(**inside(name)) for name, section in SECTIONS.items()},
        providers=MappingProxyType({each: ProviderSettings(**inside("providers", each)) for each in types}),
        sources=MappingProxyType({name: source for name, (_, source) in found.items()}),
    )


def _written(path: Path) -> Iterator[tuple[Name, Any]]:
    for name, raw in _leaves((), _parse(path), str(path)):
        if name in SETTINGS and not SETTINGS[name].in_file:
            place = f"set {_variable(name)}, or {_variable(name)}_FILE to the name of a file that holds it"
            raise SettingsError(f"{path}: {'.'.join(name)} does not belong into this file: {place}")
        yield name, raw


def _parse(path: Path) -> dict[str, Any]:
    content = _content(path, "the configuration")
    try:
        return tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        match = re.search(r"line ([0-9]+)", str(error))
        line = int(match[1]) if match else len(content.splitlines())
        raise SettingsError(f"{path}:{line}: not valid TOML: {error}") from None


def _content(path: Path, where: str) -> str:
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"{where}: {path}:{line} is not UTF-8") from None
    except OSError as error:
        raise SettingsError(f"{where}: {path} can't be read: {error.strerror}") from None


def _leaves(prefix: Name, table: Mapping[str, Any], where: str) -> Iterator[tuple[Name, Any]]:
    for key, raw in table.items():
        name = (*prefix, key)
        if all(known[: len(name)] != _pattern(name) for known in TABLES):
            yield name, raw
        elif isinstance(raw, dict):
            yield from _leaves(name, raw, where)
        else:
            raise SettingsError(f"{where}: {'.'.join(name)}: must be a table")


def _pattern(name: Name) -> Name:
    is_type = len(name) > 1 and name[0] == "providers" and _PROVIDER.fullmatch(name[1])
    return ("providers", "*", *name[2:]) if is_type else name


def _variable(name: Name) -> str:
    return _PREFIX + "__".join(name).upper()


def _overrides(environ: Mapping[str, str]) -> Iterator[tuple[str, Name, str]]:
    for variable, text in sorted(environ.items()):
        if not variable.startswith(_PREFIX) or _FROM_CLUSTER.fullmatch(f"{variable}={text}"):
            continue
        name = tuple(variable.removeprefix(_PREFIX).lower().split("__"))
        named = (*name[:-1], name[-1].removesuffix("_file"))
        if _pattern(name) in SETTINGS or _pattern(named) not in SETTINGS or named == name:
            yield variable, name, text
        elif _variable(named) in environ:
            raise SettingsError(f"{variable}: {_variable(named)} is set too; keep one of them")
        else:
            yield variable, named, re.sub(r"\r?\n\Z", "", _content(Path(text), variable))


def _find(name: Name, where: str, *, spell: Callable[[Name], str] = ".".join) -> Setting:
    setting = SETTINGS.get(_pattern(name))
    if setting is None:
        type_ = name[1].lower() if len(name) > 1 and name[0] == "providers" else "s3"
        names = SETTINGS if spell is _variable else (*TABLES, *SETTINGS)
        known = [spell(tuple(type_ if part == "*" else part for part in each)) for each in names]
        nearest = difflib.get_close_matches(spell(name), known, 1, cutoff=0.5)
        hint = f"; did you mean {nearest[0]}?" if nearest else ""
        raise SettingsError(f"{where}: there is no setting {spell(name)}{hint}")
    return setting


def _checked(setting: Setting, name: Name, raw: Any, where: str) -> Any:
    kind = _KINDS[setting.type]
    try:
        demand(kind.accepts, kind.expected)(raw)
        value = kind.make(raw)
        if setting.rule is not None:
            setting.rule(value)
    except ValueError as error:
        raise SettingsError(f"{where}: {'.'.join(name)}: {error}") from None
    return value


@dataclass(frozen=True)
class Entry:
    """A setting in force: its value as JSON can hold it, secrets hidden, and where it is from."""

    name: str
    value: Any
    source: str
    in_file: bool


def in_force(settings: Settings) -> dict[Name, list[Entry]]:
    """Return the settings in force by their tables; those without a value are left out."""
    tables: dict[Name, Any] = {(name,): getattr(settings, name) for name in SECTIONS}
    tables |= {("providers", type_): section for type_, section in settings.providers.items()}
    return {prefix: [*_entries(prefix, section, settings.sources)] for prefix, section in tables.items()}


def _entries(prefix: Name, section: Any, sources: Mapping[Name, str]) -> Iterator[Entry]:
    for each in fields(section):
        name, value = (*prefix, each.name), getattr(section, each.name)
        source = sources.get(name) or ("default" if value == each.default else "program")
        if value is not None:
            yield Entry(each.name, _shown(value), source, each.metadata["in_file"])


def _shown(value: object) -> Any:
    match value:
        case Secret():
            return "***" if value else ""
        case FixedAccount():
            return {"name": value.name, "api_key": _shown(value.api_key)}
        case tuple():
            return [*map(_shown, value)]
        case _:
            return value


def describe(settings: Settings) -> str:
    """Return the settings in force as TOML, secrets hidden, each with where it is from."""
    blocks = (
        "\n".join([f"[{'.'.join(prefix)}]", *map(_line, entries)]) for prefix, entries in in_force(settings).items()
    )
    return "\n\n".join(blocks) + "\n"


def _line(entry: Entry) -> str:
    return f"{'' if entry.in_file else '# '}{entry.name} = {_toml(entry.value)}  # {entry.source}"


def _toml(value: object) -> str:
    match value:
        case dict():
            return f"{{ {', '.join(f'{name} = {_toml(one)}' for name, one in value.items())} }}"
        case list():
            return f"[{', '.join(map(_toml, value))}]"
        case _:
            return json.dumps(value, ensure_ascii=False)
