"""Whether an optional package is there is known without importing it."""

import sys

import pytest

from consignee.errors import MissingExtra
from consignee.providers.extras import require


async def test_what_is_installed_is_not_imported() -> None:
    sys.modules.pop("this", None)
    for _ in range(2):
        await require("this", extra="zen")
    assert "this" not in sys.modules


async def test_what_is_imported_is_there() -> None:
    await require("pytest", extra="test")


@pytest.mark.parametrize("module", ["no_such_module", "no_such_package.module", "json.no_such_module"])
async def test_what_is_missing_is_named_by_its_extra(module: str) -> None:
    with pytest.raises(MissingExtra, match=r"pip install 'consignee\[zen\]'"):
        await require(module, extra="zen")


async def test_what_may_not_be_imported_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "json.tool", None)
    with pytest.raises(MissingExtra):
        await require("json.tool", extra="zen")
