"""The secrets of a document, sealed for just that account, id and revision."""

from collections.abc import Mapping

from consignee.secret import Sealer, Secret
from consignee.store import Document

Secrets = Mapping[str, Secret]


def seal_secrets(secrets: Secrets, sealer: Sealer, *, account: str, id: str, revision: int) -> dict[str, str]:  # noqa: A002
    """Return the sealed form of each secret, for the document that is about to be saved there."""
    return {
        name: sealer.seal(secret, account=account, id=id, revision=revision, field=name)
        for name, secret in secrets.items()
    }


def open_secrets(document: Document, sealer: Sealer) -> dict[str, Secret]:
    """Return the document's secrets; raises StoreError if one was altered, moved, or sealed with another key."""
    sealed: Mapping[str, str] = document.data["secrets"]
    return {
        name: sealer.open(text, account=document.account, id=document.id, revision=document.revision, field=name)
        for name, text in sealed.items()
    }
