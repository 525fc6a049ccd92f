"""Which destination types there are."""

from pathlib import Path

from consignee.providers import Provider, discover


def test_the_built_in_types_are_found_in_order() -> None:
    """Not the fake in memory, with which anybody could pass the connectivity test."""
    found = discover()
    assert list(found) == sorted(found)
    assert {"s3", "s3compatible"} <= set(found)
    assert "memory" not in found
    assert all(isinstance(one, Provider) and one.type == name for name, one in found.items())


def test_every_built_in_type_has_its_tests() -> None:
    here = Path(__file__).parent
    assert [name for name in discover() if not (here / f"test_{name}.py").is_file()] == []


def test_no_name_is_taken_twice() -> None:
    """Neither of a type nor of an alias."""
    names = [name for one in discover().values() for name in (one.type, *one.aliases)]
    assert len(names) == len(set(names))


def test_every_type_names_its_prefix_field() -> None:
    for provider in discover().values():
        assert provider.fields.prefix_field in provider.fields().fields
