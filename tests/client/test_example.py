"""The program in the documentation, on a real service."""

import inspect
from pathlib import Path

import pytest

from canaries import API_KEY
from consignee.client import Client
from pages import example, rows

from .calls import FIELDS
from .conftest import Service


async def test_it_registers_a_destination_and_delivers(
    service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "report.csv").write_bytes(b"day,visits\n")
    program = example("api_client")
    fields = {name: value for name, value in FIELDS.items() if name not in ("name", "enabled")}
    assert await program.main(service.url, API_KEY, fields, tmp_path / "report.csv")
    found = service.storage.buckets["bucket"]
    assert found["report.csv"] == b"day,visits\n"
    assert found["squares.csv"].endswith(b"\n999,998001\n")
    assert "success, 2 of 2 files" in capsys.readouterr().out
    assert not await program.main(
        service.url, API_KEY, {**fields, "memory_bucket_name": "none"}, tmp_path / "report.csv"
    )
    assert "bucket_not_found: The connectivity test failed." in capsys.readouterr().out
    assert not await program.main(service.url, API_KEY, {**fields, "memory_bucket_name": ""}, tmp_path / "report.csv")
    assert "  memory_bucket_name: " in capsys.readouterr().out


def test_every_method_of_the_client_is_documented() -> None:
    """And no other."""
    client = Client("http://127.0.0.1:9", "key")
    parts = {name: getattr(client, name) for name in ("destinations", "collections", "results", "deliveries")}
    names = {
        f"{part}.{name}"
        for part, made in parts.items()
        for name, _ in inspect.getmembers(made, callable)
        if not name.startswith("_")
    }
    names |= {name for name in ("account", "destination_types", "alive", "ready") if hasattr(client, name)}
    assert {row[0].partition("(")[0] for row in rows("docs/client.md", "Methods")} == names
