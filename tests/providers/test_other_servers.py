"""The built-in types keep what every type promises of servers that are no storage."""

import pytest

from consignee.testing.buckets import Subject
from consignee.testing.servers import ServerContract, SubjectAt
from providers.kinds import KINDS


@pytest.mark.parametrize("kind", KINDS)
class TestBuiltIn(ServerContract):
    @pytest.fixture
    def subject_at(self, kind: str) -> SubjectAt:
        """A destination of that kind, which the operator has put there."""

        async def keys() -> list[str]:
            return []

        async def read(key: str) -> bytes:
            raise KeyError(key)

        def at(url: str) -> Subject:
            known = KINDS[kind]
            return Subject(
                provider=known.provider,
                fields=known.fields_at(url),
                settings=known.settings_at(url),
                wrong_secret={},
                no_bucket={},
                no_delete={},
                keys=keys,
                read=read,
            )

        return at
