"""Backups: the store and the spool as they were at one instant, in one file; the sealing key is never in it.

A backup is a tar archive. Its members, in this order:

    store/KIND.jsonl       the documents of a kind
    spool/TOKEN/NUMBER     the files of the result sets that those documents name
    manifest.json          format, version, time, of each member before it the size and the SHA-256, and what is missing
    SEAL                   the SHA-256 of all bytes of the archive before this member
"""

from consignee.errors import StoreUnusable


class BackupUnusable(StoreUnusable):
    """The file is not a whole backup, or one that this version can't read; nothing was restored."""
