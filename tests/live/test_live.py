"""`make test-live`: the vendors' own services, for every type whose credentials are in the environment."""

import os

import pytest

from consignee.providers import discover
from consignee.settings import Settings
from live.exercise import exercise, fields_in, variable


@pytest.mark.live
@pytest.mark.parametrize("type_", list(discover()))
async def test_the_vendors_own_service(type_: str, capsys: pytest.CaptureFixture[str]) -> None:
    provider = discover()[type_]
    fields = fields_in(os.environ, provider)
    if fields is None:
        names = [
            variable(type_, name) for name, field in provider.fields().fields.items() if name.startswith(type_[:2])
        ]
        pytest.skip("no credentials in the environment: " + ", ".join(names))
    differences = await exercise(provider, fields, Settings())
    with capsys.disabled():
        print(f"\n{type_}: " + ("; ".join(differences) or "as the server of the tests"))  # noqa: T201
