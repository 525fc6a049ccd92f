"""Uploads in parts at the fake OSS, with the vendor's rules for them. What breaks one raises Refusal.

https://www.alibabacloud.com/help/en/oss/developer-reference/initiatemultipartupload, uploadpart, completemultipartupload and
abortmultipartupload beside it.
"""

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from itertools import pairwise

from fakes import oss_answers as answers
from fakes.oss_access import Place
from fakes.oss_answers import Refusal
from fakes.oss_bodies import Content

MOST_PARTS = 10_000
SMALLEST_PART = 100 * 1024
LARGEST_PART = 5 * 1024**3


@dataclass
class Upload:
    """An upload that is neither completed nor aborted: where to, and its parts by their numbers."""

    place: Place
    parts: dict[int, Content] = field(default_factory=dict)


class Uploads:
    """All that were begun and have not ended, by their ids."""

    def __init__(self) -> None:
        self.unfinished: dict[str, Upload] = {}
        self._begun = 0

    def begin(self, place: Place) -> str:
        """Return the id of a new one."""
        self._begun += 1
        upload_id = f"{self._begun:032X}"
        self.unfinished[upload_id] = Upload(place)
        return upload_id

    def add(self, place: Place, upload_id: str, number: str, content: Content) -> None:
        """Keep a part, in place of what has its number. How small it may be is only known in the end."""
        if not re.fullmatch(r"[1-9][0-9]{0,4}", number) or int(number) > MOST_PARTS:
            raise Refusal(answers.INVALID_PART_NUMBER, {"ArgumentName": "partNumber", "ArgumentValue": number})
        upload = self._find(place, upload_id)
        if content.length > LARGEST_PART:
            raise Refusal(answers.ENTITY_TOO_LARGE)
        upload.parts[int(number)] = content

    def complete(self, place: Place, upload_id: str, document: bytes) -> list[Content]:
        """Return the parts that the document names, and forget the upload."""
        upload = self._find(place, upload_id)
        named = _named(document)
        if any(before >= after for (before, _), (after, _) in pairwise(named)):
            raise Refusal(answers.INVALID_PART_ORDER)
        for number, etag in named:
            if number not in upload.parts or upload.parts[number].etag.strip('"') != etag.strip('"'):
                raise Refusal(answers.INVALID_PART, {"PartNumber": str(number), "ETag": etag})
        parts = [upload.parts[number] for number, _ in named]
        if any(part.length < SMALLEST_PART for part in parts[:-1]):
            raise Refusal(answers.ENTITY_TOO_SMALL, {"MinSizeAllowed": str(SMALLEST_PART)})
        del self.unfinished[upload_id]
        return parts

    def abort(self, place: Place, upload_id: str) -> None:
        """Forget the upload."""
        self._find(place, upload_id)
        del self.unfinished[upload_id]

    def _find(self, place: Place, upload_id: str) -> Upload:
        upload = self.unfinished.get(upload_id)
        if upload is None or upload.place != place:
            raise Refusal(answers.NO_SUCH_UPLOAD, {"UploadId": upload_id})
        return upload


def _named(document: bytes) -> list[tuple[int, str]]:
    """The number and the ETag of each part of a completion."""
    try:
        root = ET.fromstring(document)
        named = [(int(part.findtext("PartNumber") or ""), part.findtext("ETag") or "") for part in root]
    except (ET.ParseError, ValueError) as error:
        raise Refusal(answers.MALFORMED_XML) from error
    if root.tag != "CompleteMultipartUpload" or not named or {part.tag for part in root} != {"Part"}:
        raise Refusal(answers.MALFORMED_XML)
    return named
