import dataclasses
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from consignee.errors import SettingsError
from consignee.secret import Secret
from consignee.settings import SETTINGS, FixedAccount, Settings, describe, load_settings

CONFIG = Path(__file__).parent.parent / "config"
KEY = "5a" * 32
Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str) -> Path:
        path = tmp_path / "consignee.toml"
        path.write_text(text)
        return path

    return write


def refusal(path: Path | None = None, /, **environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(path, environ=environ)
    return str(caught.value)


def commented(path: Path) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the name of each setting in the file with the comment just above it."""
    section, above = "", ""
    for line in path.read_text().splitlines():
        if match := re.fullmatch(r"\[([a-z0-9_.]+)\]", line):
            section = match[1]
        elif match := re.match(r"([a-z0-9_]+) = ", line):
            yield (*section.split("."), match[1]), above
        above = line


def as_pattern(name: tuple[str, ...]) -> tuple[str, ...]:
    return ("providers", "*", *name[2:]) if name[0] == "providers" else name


def test_nothing_given_means_the_defaults() -> None:
    settings = load_settings(environ={})
    assert settings == Settings()
    assert (settings.server.host, settings.server.port, settings.store.path) == ("127.0.0.1", 8080, "var")


def test_default_toml_holds_every_setting_with_its_default() -> None:
    """Except those that must not stand in a file; and it says nothing else."""
    settings = load_settings(CONFIG / "default.toml", environ={})
    assert dataclasses.replace(settings, providers={}) == Settings()
    assert {as_pattern(name) for name in settings.sources} == {
        name for name, setting in SETTINGS.items() if setting.in_file
    }
    assert {"s3", "gcs", "azure", "oss"} == settings.providers.keys()


def test_default_toml_describes_every_setting_as_the_code_does() -> None:
    described = dict(commented(CONFIG / "default.toml"))
    assert described == {name: f"# {SETTINGS[as_pattern(name)].about}" for name in described}
    missing = SETTINGS.keys() - {as_pattern(name) for name in described}
    assert missing == {name for name, setting in SETTINGS.items() if not setting.in_file}
    for name in missing:
        assert f"# {SETTINGS[name].about}\n" in (CONFIG / "default.toml").read_text()


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=lambda setting: ".".join(setting.name))
def test_every_setting_is_described_in_one_line(setting: object) -> None:
    about = getattr(setting, "about", "")
    assert re.fullmatch(r"[A-Z].{8,98}\.", about)


def test_the_development_file_opens_loopback_and_knows_the_demo_key() -> None:
    settings = load_settings(CONFIG / "development.toml", environ={})
    assert settings.accounts.fixed == (FixedAccount("demo", Secret("demo")),)
    assert settings.egress.allow_http
    assert "127.0.0.0/8:*" in settings.egress.allow
    assert settings.store.path == "var"


def test_the_production_example_is_strict() -> None:
    settings = load_settings(CONFIG / "production.example.toml", environ={})
    assert settings.accounts.fixed == ()
    assert settings.egress == Settings().egress
    assert Path(settings.store.path).is_absolute()


def test_what_the_production_example_holds_ready_are_settings_that_there_are(write: Write) -> None:
    section, ready = "", []
    for line in (CONFIG / "production.example.toml").read_text().splitlines():
        if match := re.fullmatch(r"(?:# )?\[([a-z0-9.]+)\]", line):
            section = match[1]
        elif re.match(r"# [a-z0-9_]+ = ", line):
            ready.append(f"[{section}]\n{line[2:]}\n")
    assert len(ready) > 10
    assert all(load_settings(write(text), environ={}).sources for text in ready)


def test_the_url_of_a_database_is_taken_and_never_shown(tmp_path: Path) -> None:
    """From a file too, which may end its line; of several hosts, too."""
    url = "postgresql://consignee:hunter%2F2@db-1.internal:5432,db-2.internal/consignee"
    (tmp_path / "url").write_text(url + "\n")
    settings = load_settings(environ={"CONSIGNEE_STORE__URL_FILE": str(tmp_path / "url")})
    assert settings.store.url == Secret(url)
    assert 'url = "***"  # environment' in describe(settings)
    assert "hunter" not in describe(settings) + repr(settings)
    assert 'url = ""  # default' in describe(load_settings(environ={}))


def test_the_environment_goes_before_the_file(write: Write) -> None:
    path = write('[server]\nport = 1\nhost = "::1"\n[log]\nlevel = "debug"\n')
    settings = load_settings(path, environ={"CONSIGNEE_SERVER__PORT": "2", "PATH": "/bin"})
    assert (settings.server.port, settings.server.host, settings.log.level) == (2, "::1", "debug")


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("SERVER__PORT", "0", ("server", "port"), 0),
        ("LIMITS__BODY_TIMEOUT", "0.5", ("limits", "body_timeout"), 0.5),
        ("EGRESS__ALLOW_HTTP", "True", ("egress", "allow_http"), True),
        ("EGRESS__ALLOW_HTTP", "1", ("egress", "allow_http"), True),
        ("EGRESS__ALLOW_HTTP", "0", ("egress", "allow_http"), False),
        ("EGRESS__ALLOW_NAMES", "a.internal, b.internal,", ("egress", "allow_names"), ("a.internal", "b.internal")),
        ("EGRESS__ALLOW_NAMES", "", ("egress", "allow_names"), ()),
        ("EGRESS__ALLOW", "10.0.0.0/8:9000,127.0.0.1/32:*", ("egress", "allow"), ("10.0.0.0/8:9000", "127.0.0.1/32:*")),
        ("EGRESS__CA_FILE", "ca.pem", ("egress", "ca_file"), "ca.pem"),
        ("SECRETS__KEY_FILE", "k", ("secrets", "key_file"), "k"),
        ("SECRETS__KEY", KEY, ("secrets", "key"), Secret(KEY)),
        ("SECRETS__KEY", f"{KEY}\n\t{KEY}\r\n", ("secrets", "key"), Secret(f"{KEY} {KEY}")),
    ],
)
def test_a_variable_is_read_as_the_setting_s_type(
    variable: str, text: str, name: tuple[str, str], value: object
) -> None:
    settings = load_settings(environ={f"CONSIGNEE_{variable}": text})
    found = getattr(getattr(settings, name[0]), name[1])
    assert (found, type(found)) == (value, type(value))


def test_a_provider_s_variable_needs_no_section_in_the_file() -> None:
    environ = {"CONSIGNEE_PROVIDERS__TOY_ONE__ENDPOINT_URL": "http://127.0.0.1:9000"}
    assert load_settings(environ=environ).providers["toy_one"].endpoint_url == "http://127.0.0.1:9000"


@pytest.mark.parametrize(
    ("content", "expected"), [("warning\n", "warning"), ("warning\r\n", "warning"), ("warning", "warning")]
)
def test_a_file_variable_names_the_file_that_holds_the_value(tmp_path: Path, content: str, expected: str) -> None:
    path = tmp_path / "value"
    path.write_bytes(content.encode())
    assert load_settings(environ={"CONSIGNEE_LOG__LEVEL_FILE": str(path)}).log.level == expected


def test_only_one_line_end_is_taken_off(tmp_path: Path) -> None:
    (tmp_path / "value").write_bytes(b"warning\n\n")
    message = refusal(CONSIGNEE_LOG__LEVEL_FILE=str(tmp_path / "value"))
    assert "CONSIGNEE_LOG__LEVEL_FILE: log.level: must be text without control characters" in message


def test_a_file_variable_whose_file_is_missing_says_which(tmp_path: Path) -> None:
    message = refusal(CONSIGNEE_LOG__LEVEL_FILE=str(tmp_path / "none"))
    assert "CONSIGNEE_LOG__LEVEL_FILE" in message
    assert str(tmp_path / "none") in message


def test_a_value_given_directly_and_by_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "value").write_text("info")
    message = refusal(CONSIGNEE_LOG__LEVEL="info", CONSIGNEE_LOG__LEVEL_FILE=str(tmp_path / "value"))
    assert "CONSIGNEE_LOG__LEVEL is set too" in message


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("CONSIGNEE_SERVER__PROT", "CONSIGNEE_SERVER__PORT"),
        ("CONSIGNEE_SERVER_PORT", "CONSIGNEE_SERVER__PORT"),
        ("CONSIGNEE_SECRET__KEY", "CONSIGNEE_SECRETS__KEY"),
        ("CONSIGNEE_PROVIDERS__OSS__ENDPOINT", "CONSIGNEE_PROVIDERS__OSS__ENDPOINT_URL"),
        ("CONSIGNEE_SERVER__PROT_FILE", "CONSIGNEE_SERVER__PORT"),
        ("CONSIGNEE_PORT", "CONSIGNEE_SERVER__PORT"),
    ],
)
def test_an_unknown_variable_is_refused_with_the_nearest_name(variable: str, nearest: str) -> None:
    message = refusal(**{variable: "hunter2"})
    assert f"there is no setting {variable}; did you mean {nearest}?" in message
    assert "hunter2" not in message


def test_the_variables_of_a_cluster_are_let_through() -> None:
    """Kubernetes sets them in every container if a service is named consignee."""
    environ = {
        "CONSIGNEE_PORT": "tcp://10.0.0.1:8080",
        "CONSIGNEE_SERVICE_HOST": "10.0.0.1",
        "CONSIGNEE_SERVICE_PORT_HTTP": "8080",
        "CONSIGNEE_PORT_8080_TCP_ADDR": "10.0.0.1",
        "CONSIGNEE_PORT_8080_TCP": "tcp://10.0.0.1:8080",
    }
    assert load_settings(environ=environ) == Settings()


@pytest.mark.parametrize(
    ("text", "unknown", "nearest"),
    [
        ("[server]\nprot = 1", "server.prot", "server.port"),
        ("[sever]\nport = 1", "sever", "server"),
        ("[sever]", "sever", "server"),
        ("port = 1", "port", "server.port"),
        ('"server.port" = 1', "server.port", "server.port"),
        ("[limits]\ndestination_per_account = 1", "limits.destination_per_account", "limits.destinations_per_account"),
        ("[providers.s3]\nendpoint = ''", "providers.s3.endpoint", "providers.s3.endpoint_url"),
        ("[providers.S3]\nendpoint_url = ''", "providers.S3", "providers.s3"),
    ],
)
def test_an_unknown_name_in_the_file_is_refused_with_the_nearest(
    write: Write, text: str, unknown: str, nearest: str
) -> None:
    path = write(text)
    assert refusal(path) == f"{path}: there is no setting {unknown}; did you mean {nearest}?"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("server = 1", "server: must be a table"),
        ("[[server]]\nport = 1", "server: must be a table"),
        ("[providers]\ns3 = ''", "providers.s3: must be a table"),
        ("[server]\nport = '8080'", "server.port: must be a whole number"),
        ("[server]\nport = true", "server.port: must be a whole number"),
        ("[server]\nport = 1.0", "server.port: must be a whole number"),
        ("[server]\nport = 65536", "server.port: must be a number from 0 to 65535"),
        ("[server.port]\na = 1", "server.port: must be a whole number"),
        ("[server]\nhost = ''", "server.host: must be text that is not empty"),
        ("[server]\nhost = 'a\tb'", "server.host: must be text without control characters"),
        ("[server]\nshutdown_timeout = nan", "server.shutdown_timeout: must be a number from 0 to 3600"),
        ("[server]\nshutdown_timeout = inf", "server.shutdown_timeout: must be a number from 0 to 3600"),
        ("[egress]\nallow_http = 1", "egress.allow_http: must be true or false"),
        ("[egress]\nallow = '10.0.0.0/8:1'", "egress.allow: must be a list of texts"),
        ("[egress]\nallow = [1]", "egress.allow: must be a list of texts"),
        ("[log]\nlevel = 'loud'", "log.level: must be one of debug, info, warning, error"),
        ("[verification]\nevery = 'daily'", "verification.every: must be a whole number followed by s, m, h or d"),
        ("[verification]\nevery = '0h'", "verification.every: must be a whole number followed by s, m, h or d"),
        ("[verification]\nevery = '1.5h'", "verification.every: must be a whole number followed by s, m, h or d"),
        ("[verification]\nevery = '24h\\n'", "verification.every: must be a whole number followed by s, m, h or d"),
        ("[verification]\nevery = 24", "verification.every: must be text"),
        ("[verification]\nconcurrency = 0", "verification.concurrency: must be a number from 1 to 10000"),
        (
            "[store]\nurl = 'mysql://u:hunter2@h/d'",
            "store.url: must be the URL of a PostgreSQL database, such as postgresql://",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_expected(write: Write, text: str, expected: str) -> None:
    path = write(text)
    message = refusal(path)
    assert message.startswith(f"{path}: {expected}")
    assert "hunter2" not in message


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("SERVER__PORT", "80a"),
        ("SERVER__PORT", "9" * 5000),
        ("SERVER__PORT", "1_0"),
        ("SERVER__PORT", "1.0"),
        ("SERVER__PORT", ""),
        ("LIMITS__BODY_TIMEOUT", "nan"),
        ("EGRESS__ALLOW_HTTP", "yes"),
        ("ACCOUNTS__FIXED", "demo"),
        ("LOG__LEVEL", "info\ud800"),
    ],
)
def test_a_wrong_variable_is_refused_by_its_name(variable: str, text: str) -> None:
    dotted = variable.lower().replace("__", ".")
    assert refusal(**{f"CONSIGNEE_{variable}": text}).startswith(f"CONSIGNEE_{variable}: {dotted}: must be ")


@pytest.mark.parametrize("rule", ["10.0.0.0/8", "10.0.0.1/8:1", "example.com:443", "10.0.0.0/8:0", ""])
def test_a_wrong_egress_rule_is_refused(write: Write, rule: str) -> None:
    assert "egress.allow: " in refusal(write(f"[egress]\nallow = ['{rule}']"))


@pytest.mark.parametrize(
    "text",
    [
        "fixed = ['demo']",
        "fixed = [{ name = 'demo' }]",
        "fixed = [{ name = 'demo', api_key = '' }]",
        "fixed = [{ name = 'a b', api_key = 'hunter2' }]",
        "fixed = [{ name = 'demo', api_key = 'hunter2', x = 1 }]",
        "fixed = [{ name = 1, api_key = 'hunter2' }]",
        "fixed = { name = 'demo', api_key = 'hunter2' }",
    ],
)
def test_a_wrong_fixed_account_is_refused_without_its_key(write: Write, text: str) -> None:
    message = refusal(write(f"[accounts]\n{text}"))
    assert "accounts.fixed: must be tables" in message
    assert "hunter2" not in message


@pytest.mark.parametrize("key", [f"'{KEY}'", "'hunter2'", "1"])
def test_the_sealing_key_in_a_file_is_refused_with_its_right_place(write: Write, key: str) -> None:
    message = refusal(write(f"[secrets]\nkey = {key}"))
    assert "secrets.key does not belong into this file: set CONSIGNEE_SECRETS__KEY" in message
    assert KEY not in message
    assert "hunter2" not in message


@pytest.mark.parametrize("key", ["", "hunter2", "5a" * 31, "é" * 32])
def test_a_wrong_sealing_key_is_refused_at_once_and_not_quoted(key: str) -> None:
    message = refusal(CONSIGNEE_SECRETS__KEY=key)
    assert message == "CONSIGNEE_SECRETS__KEY: secrets.key: a sealing key is 32 bytes in base64 or hexadecimal"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://127.0.0.1:9000",
        "https://[::1]:9000",
        "https://{bucket}.oss-{region}.example.com",
        "https://{account}.blob.example.com:10000",
        "http://127.0.0.1:10000/{account}",
    ],
)
def test_an_operator_s_endpoint_is_accepted(url: str) -> None:
    settings = load_settings(environ={"CONSIGNEE_PROVIDERS__S3__ENDPOINT_URL": url})
    assert settings.providers["s3"].endpoint_url == url


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:9000",
        "ftp://example.com",
        "https://",
        "https://:9000",
        "https://example.com//",
        "https://example.com/a b",
        "https://example.com?x=1",
        "https://example.com#x",
        "https://user:hunter2@example.com",
        "https://example.com:0",
        "https://example.com:65536",
        "https://example.com:",
        "https://{tenant}.example.com",
        "https://exa mple.com",
    ],
)
def test_any_other_endpoint_of_the_operator_is_refused(url: str) -> None:
    message = refusal(CONSIGNEE_PROVIDERS__S3__ENDPOINT_URL=url)
    assert "providers.s3.endpoint_url: must be an http or https URL" in message
    assert "hunter2" not in message


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"[server]\nport =\n", 2),
        (b"[server]\n\nport = 1\nport = 2\n", 4),
        (b"[server]\nhost = '", 2),
        (b"[server]\nhost = '''\n\n", 3),
        (b"# \xc3\xa9\n# \xff\n", 2),
    ],
)
def test_a_file_that_is_not_toml_is_refused_with_its_line(tmp_path: Path, content: bytes, line: int) -> None:
    path = tmp_path / "consignee.toml"
    path.write_bytes(content)
    assert f"{path}:{line}" in refusal(path)


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.toml") == (
        f"the configuration: {tmp_path / 'none.toml'} can't be read: No such file or directory"
    )


def test_the_settings_are_shown_with_their_sources_and_without_secrets(write: Write) -> None:
    path = write('[server]\nport = 1\n[[accounts.fixed]]\nname = "demo"\napi_key = "hunter2"\n')
    environ = {"CONSIGNEE_SECRETS__KEY": KEY, "CONSIGNEE_PROVIDERS__S3__ENDPOINT_URL": "http://a"}
    text = describe(load_settings(path, environ=environ))
    for line in [
        "port = 1  # file",
        'host = "127.0.0.1"  # default',
        'fixed = [{ name = "demo", api_key = "***" }]  # file',
        '# key = "***"  # environment',
        '[providers.s3]\nendpoint_url = "http://a"  # environment',
    ]:
        assert f"{line}\n" in text
    assert "hunter2" not in text + repr(load_settings(path, environ=environ))
    assert KEY not in text


def test_what_a_program_changed_is_shown_as_such() -> None:
    settings = Settings()
    changed = dataclasses.replace(settings, server=dataclasses.replace(settings.server, port=9))
    assert "port = 9  # program\n" in describe(changed)


def test_the_settings_shown_are_toml_that_gives_them_again(write: Write) -> None:
    first = load_settings(CONFIG / "default.toml", environ={"CONSIGNEE_STORE__PATH": 'é "quoted" \\ path'})
    again = load_settings(write(describe(first)), environ={})
    assert again == first
    assert tomllib.loads(describe(first))["store"]["path"] == 'é "quoted" \\ path'


def test_settings_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().server.port = 1  # type: ignore[misc]


@pytest.mark.parametrize(("every", "seconds"), [("", None), ("90s", 90), ("5m", 300), ("24h", 86400), ("7d", 604800)])
def test_a_period_is_given_with_its_unit(every: str, seconds: float | None) -> None:
    settings = load_settings(environ={"CONSIGNEE_VERIFICATION__EVERY": every})
    assert settings.verification.period == seconds
