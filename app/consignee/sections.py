"""Every setting, once: a field with its type, default, description and rule. All else follows from that."""

import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Final

from consignee.rules import (
    BARE_URL,
    DURATION,
    NOT_EMPTY,
    PERIOD,
    PROXY,
    STORE_URL,
    Rule,
    are_durations,
    are_egress_rules,
    between,
    is_sealing_key,
    one_of,
)
from consignee.secret import Secret
from consignee.setting import setting as _setting
from consignee.staging_section import StagingSettings

Name = tuple[str, ...]
_SECONDS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_MIB: Final = 1024 * 1024


def seconds(duration: str) -> float:
    """Return the seconds of a duration such as 5m."""
    return int(duration[:-1]) * _SECONDS[duration[-1]]


@dataclass(frozen=True)
class ServerSettings:
    """Where the server listens, and how it stops."""

    host: str = _setting("127.0.0.1", "Address to listen on.", NOT_EMPTY)
    port: int = _setting(8080, "Port to listen on; 0 picks a free one.", between(0, 65535))
    shutdown_timeout: float = _setting(25, "Seconds that requests under way get at a stop.", between(0, 3600))
    uvloop: bool = _setting(True, "Whether to run on uvloop where it is installed.")


@dataclass(frozen=True)
class StoreSettings:
    """Where the documents are kept."""

    path: str = _setting("var", "Directory of the store.", NOT_EMPTY)
    url: Secret = _setting(  # noqa: RUF009, for it returns a field
        Secret(""), "A PostgreSQL database in place of the directory, for several processes; empty: none.", STORE_URL
    )
    timeout: float = _setting(5, "Seconds that the database gets to answer, or to come back.", between(0.1, 300))
    connections: int = _setting(10, "Most connections of one process to the database.", between(2, 1000))


@dataclass(frozen=True)
class SecretsSettings:
    """The key that seals customers' secrets at rest."""

    key_file: str = _setting("var/secret.key", "File of the key that seals secrets at rest.", NOT_EMPTY)
    key: Secret | None = _setting(  # noqa: RUF009, for it returns a field
        None, "The key itself, in place of the file.", is_sealing_key, in_file=False
    )


@dataclass(frozen=True)
class FixedAccount:
    """An account with an API key that stands in the configuration: for development."""

    name: str
    api_key: Secret


@dataclass(frozen=True)
class AccountsSettings:
    """Accounts beside those made with `consignee keys`."""

    fixed: tuple[FixedAccount, ...] = _setting((), "For development: tables of a name and an api_key each.")


@dataclass(frozen=True)
class ClientSettings:
    """How the commands that talk to a running service reach it."""

    url: str = _setting("", "Where commands find the service; empty: where these settings let it listen.", BARE_URL)
    api_key: Secret | None = _setting(  # noqa: RUF009, for it returns a field
        None, "The API key that commands use; otherwise that of the only fixed account.", in_file=False
    )


@dataclass(frozen=True)
class EgressSettings:
    """To which addresses connections may be opened, beyond the public ones."""

    allow: tuple[str, ...] = _setting((), 'Networks allowed, such as "10.0.0.0/8:9000".', are_egress_rules)
    allow_http: bool = _setting(False, "Whether customers' endpoints may be http; otherwise only https.")
    allow_names: tuple[str, ...] = _setting((), "Host names that are allowed although they look internal.")
    ca_file: str = _setting("", "PEM file of further authorities to trust; empty: none.")
    proxy: str = _setting(
        "", 'Forward proxy for all that customers name, "http://proxy.internal:3128"; empty: none.', PROXY
    )
    proxy_auth: Secret | None = _setting(  # noqa: RUF009, for it returns a field
        None, 'What that proxy wants to see: "user:password".', in_file=False
    )


@dataclass(frozen=True)
class LimitsSettings:
    """How much one account or one request may use."""

    destinations_per_account: int = _setting(50, "Destinations that one account may have.", between(0, 10**6))
    collections_per_account: int = _setting(50, "Collections that one account may have.", between(0, 10**6))
    body_bytes: int = _setting(1_048_576, "Largest JSON or form body, in bytes.", between(1024, 2**30))
    body_timeout: float = _setting(
        10, "Seconds for a body to arrive whole, or for more of a file.", between(0.01, 3600)
    )
    upload_bytes_per_second: int = _setting(
        1000, "Rate below which the receipt of files is given up; 0: none.", between(0, 10**6)
    )
    form_fields: int = _setting(1000, "Most fields in one form.", between(1, 100_000))
    json_depth: int = _setting(32, "Most levels in a JSON body.", between(2, 100))
    headers: int = _setting(100, "Most headers of a request.", between(20, 1000))
    header_bytes: int = _setting(16_384, "Most bytes of a request's line and headers.", between(1024, 2**20))
    header_timeout: float = _setting(15, "Seconds for a request's headers to arrive.", between(0.1, 3600))
    connections: int = _setting(
        2000, "Most connections; one too many takes the place of an idle one.", between(10, 10**6)
    )
    connections_per_address: int = _setting(1000, "Most connections of one address; 0: no limit.", between(0, 10**6))
    requests_in_flight: int = _setting(256, "Most requests under way; beyond, the answer is 503.", between(1, 10**5))
    streams_in_flight: int = _setting(256, "The same for what takes long by nature: files, events.", between(1, 10**5))
    account_share: float = _setting(0.5, "Part of those that one account may have.", between(0.01, 1))
    requests_per_second: float = _setting(300, "Requests of one account a second; 0: no limit.", between(0, 10**6))
    requests_burst: int = _setting(1000, "Requests of one account at once.", between(1, 10**6))
    tests_per_second: float = _setting(
        20, "Connectivity tests of one account a second; 0: no limit.", between(0, 10**6)
    )
    tests_burst: int = _setting(200, "Connectivity tests of one account at once.", between(1, 10**6))
    wrong_keys_per_minute: float = _setting(
        30, "Requests without a known key from one address a minute; 0: no limit.", between(0, 10**6)
    )
    wrong_keys_burst: int = _setting(100, "Requests without a known key from one address at once.", between(1, 10**6))
    idempotency_keys: int = _setting(
        10_000, "Idempotency keys remembered for one account, for a day each.", between(1, 10**6)
    )


@dataclass(frozen=True)
class LogSettings:
    """What the command writes to standard error."""

    level: str = _setting("info", "Least level to log.", one_of("debug", "info", "warning", "error"))
    format: str = _setting("plain", "Form of a line: plain or json.", one_of("plain", "json"))


@dataclass(frozen=True)
class MetricsSettings:
    """What is counted and measured for Prometheus, and who may read it; needs the extra `metrics`."""

    enabled: bool = _setting(False, "Whether to count and measure, and to answer GET /metrics.")
    public: bool = _setting(False, "Whether whoever reaches the port may read it, without the token.")
    by_account: bool = _setting(False, "Whether counts also say of which account: the names of customers.")
    token: Secret | None = _setting(  # noqa: RUF009, for it returns a field
        None, "What readers must send as a bearer token.", in_file=False
    )


@dataclass(frozen=True)
class VerificationSettings:
    """How destinations are tested."""

    timeout: float = _setting(10, "Seconds for one connectivity test.", between(0.01, 3600))
    concurrency: int = _setting(64, "Connectivity tests at once.", between(1, 10_000))
    every: str = _setting(
        "", 'Age at which the test of an enabled destination is repeated, "24h"; empty: never.', DURATION
    )

    @property
    def period(self) -> float | None:
        """That age in seconds, or None."""
        return seconds(self.every) if self.every else None


@dataclass(frozen=True)
class DeliverySettings:
    """How result sets are kept and delivered."""

    spool: str = _setting("", "Directory of the files that are to be delivered; empty: spool in the store's.")
    concurrency: int = _setting(64, "Deliveries under way at once, and uploads.", between(1, 10_000))
    per_destination: int = _setting(4, "Uploads at once to one destination.", between(1, 1000))
    retries: tuple[str, ...] = _setting(
        ("10s", "1m", "5m", "30m", "2h", "5h", "10h", "10h", "24h", "24h"),
        "Waits after each failure in a row that may pass; after the last, the delivery has failed.",
        are_durations,
    )
    jitter: float = _setting(0.2, "By which part of itself each wait varies by chance.", between(0, 1))
    lease: float = _setting(30, "Seconds after which a delivery is taken from a worker that died.", between(1, 60))
    crashes: int = _setting(3, "Attempts that may kill the process before a delivery is set aside.", between(1, 1000))
    breaker: int = _setting(5, "Failures in a row after which a destination is only probed.", between(1, 1000))
    disable_after: str = _setting(
        "5d", "Time of nothing but failure after which a destination is disabled; empty: never.", DURATION
    )
    idle_timeout: float = _setting(60, "Seconds without any progress after which an upload fails.", between(0.1, 3600))
    least_bytes_per_second: int = _setting(
        1000, "Rate below which an upload fails, on the average of a request; 0: none.", between(0, 10**9)
    )
    part_threshold: int = _setting(16 * _MIB, "Bytes above which a file is sent in parts.", between(1, 5 * 1024**3))
    part_size: int = _setting(16 * _MIB, "Bytes of such a part, at least.", between(5 * _MIB, 1024**3))
    parts_at_once: int = _setting(4, "Parts of one file under way at once.", between(1, 100))
    retention: str = _setting("14d", "How long result sets are kept.", PERIOD)
    files_per_set: int = _setting(10_000, "Most files in a result set.", between(1, 1_000_000))
    bytes_per_set: int = _setting(0, "Most bytes in a result set; 0: no limit.", between(0, 2**60))
    webhook_timeout: float = _setting(15, "Seconds for one call of a webhook.", between(0.01, 3600))
    public_url: str = _setting(
        "", "Where customers reach this service, for links in webhooks; empty: links are paths.", BARE_URL
    )


@dataclass(frozen=True)
class ProviderSettings:
    """What the operator sets for one destination type."""

    endpoint_url: str = _setting("", "The operator's own endpoint; empty: the vendor's.", BARE_URL)


@dataclass(frozen=True)
class Settings:
    """All settings; `sources` says where each that is not a default is from."""

    server: ServerSettings = ServerSettings()
    store: StoreSettings = StoreSettings()
    secrets: SecretsSettings = SecretsSettings()
    accounts: AccountsSettings = AccountsSettings()
    client: ClientSettings = ClientSettings()
    egress: EgressSettings = EgressSettings()
    limits: LimitsSettings = LimitsSettings()
    log: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()
    verification: VerificationSettings = VerificationSettings()
    delivery: DeliverySettings = DeliverySettings()
    staging: StagingSettings = StagingSettings()  # noqa: RUF009, for it is frozen
    providers: Mapping[str, ProviderSettings] = field(default_factory=lambda: MappingProxyType({}))
    sources: Mapping[Name, str] = field(default_factory=dict, repr=False, compare=False)


SECTIONS: Final[Mapping[str, Any]] = {each.name: type(each.default) for each in fields(Settings)[:-2]}
TABLES: Final = {(name,): section for name, section in SECTIONS.items()} | {("providers", "*"): ProviderSettings}


@dataclass(frozen=True)
class Setting:
    """What is known about one setting: everything but its value."""

    name: Name
    type: Any
    default: Any
    about: str
    rule: Rule | None
    in_file: bool


def _settings_of(prefix: Name, section: type) -> Iterator[Setting]:
    hints = typing.get_type_hints(section)
    for each in fields(section):
        yield Setting((*prefix, each.name), hints[each.name], each.default, **each.metadata)


SETTINGS: Final = {each.name: each for prefix, section in TABLES.items() for each in _settings_of(prefix, section)}
