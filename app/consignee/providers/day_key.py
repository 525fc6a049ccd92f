"""The key with which the requests of one day are signed: vendors have it derived from the secret, in four steps."""

import hmac

from consignee.secret import Secret


class DayKey:
    """Derives the keys of one secret; the one that was used last is kept."""

    def __init__(self, prefix: str, secret: Secret) -> None:
        self._prefix = prefix
        self._secret = secret
        self._scope = ""
        self._begun = hmac.new(b"", digestmod="sha256")

    def signature(self, scope: str, text: str) -> str:
        """Return the signature of a text in hexadecimal; a scope is such as `20261122/us-east-1/s3/aws4_request`."""
        if scope != self._scope:
            key = f"{self._prefix}{self._secret.reveal()}".encode()
            for part in scope.split("/"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._begun, self._scope = hmac.new(key, digestmod="sha256"), scope
        signing = self._begun.copy()
        signing.update(text.encode())
        return signing.hexdigest()
