"""ResultSet: the numbered files of a collection, complete; and how one becomes a stored document and back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from consignee.body import BytesBody
from consignee.delivery.intake import SpooledFile
from consignee.store import Document

KIND: Final = "result_sets"
MANIFEST: Final = "_manifest.json"


@dataclass(frozen=True, kw_only=True)
class ResultSet:
    """A result set. Times are ISO 8601, UTC; `token` says where its files are in the spool.

    What its keys are made of is frozen with it: a retry, however late, writes the same ones.
    """

    account: str
    collection_id: str
    collection_name: str
    number: int
    revision: int
    started_at: str
    ended_at: str
    created_at: str
    expires_at: str
    token: str
    files: Sequence[SpooledFile]
    destination_ids: Sequence[str]
    manifest: bool = False
    notify: bool = False

    @property
    def id(self) -> str:
        """The id of its document."""
        return document_id(self.collection_id, self.number)

    @property
    def tokens(self) -> Mapping[str, str]:
        """What the tokens of a path prefix stand for."""
        return {
            "COLLECTION_ID": self.collection_id,
            "COLLECTION_NAME": self.collection_name,
            "RESULT_SET_ID": str(self.number),
            "DATE": self.ended_at[:10].replace("-", "_"),
        }

    @property
    def files_total(self) -> int:
        """How many objects a delivery of it writes."""
        return len(self.files) + self.manifest

    def manifest_body(self) -> BytesBody:
        """Return the content of the manifest, always the same bytes."""
        content = {
            "collection": {"id": self.collection_id, "name": self.collection_name},
            "result_set": {"id": self.number, "started_at": self.started_at, "ended_at": self.ended_at},
            "files": [{"name": one.name, "size": one.size, "sha256": one.sha256} for one in self.files],
        }
        return BytesBody(json.dumps(content, ensure_ascii=False, indent=1).encode())


def document_id(collection_id: str, number: int) -> str:
    """Return the id of the document of a result set; ids of one collection sort by number."""
    return f"{collection_id}.{number:010d}"


def to_data(result_set: ResultSet) -> dict[str, Any]:
    """Return the stored form."""
    data = {name: value for name, value in vars(result_set).items() if name not in ("account", "revision")}
    return {**data, "files": [one.to_data() for one in result_set.files]}


def from_document(document: Document) -> ResultSet:
    """Return the result set in a stored document."""
    files = [SpooledFile.from_data(one) for one in document.data["files"]]
    return ResultSet(account=document.account, revision=document.revision, **{**document.data, "files": files})
