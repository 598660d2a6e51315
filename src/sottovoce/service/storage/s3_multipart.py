"""Lists and aborts the S3 multipart uploads that a killed process left behind; obstore cannot do this.

Such uploads are invisible and cost storage until they are aborted. Requests are signed with AWS Signature Version 4 as published
(canonical request, string to sign, derived key). The module uses the standard library only, because boto3 and DBOS need
different versions of python-dateutil.
"""

import hashlib
import hmac
import os
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree as ET

TIMEOUT = 30.0
"""Seconds for each answer of S3."""
_EMPTY = hashlib.sha256(b"").hexdigest()
"""The digest of an empty request body."""
_MAX_ANSWER = 16 << 20
"""Bytes of an answer that are read, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The S3 credentials that requests are signed with."""

    access_key: str
    secret_key: str
    region: str
    token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """An unfinished multipart upload that began at *begun* (epoch seconds)."""

    key: str
    id: str
    begun: float


class MultipartUploads:
    """The multipart uploads of one bucket, with path-style URLs."""

    def __init__(self, url: str, options: Mapping[str, str]) -> None:
        split = urlsplit(url)
        region = options.get("region") or os.environ.get("AWS_REGION", "us-east-1")
        self._prefix = split.path.strip("/")
        endpoint = options.get("endpoint") or f"https://s3.{region}.amazonaws.com"
        self._base = f"{endpoint.rstrip('/')}/{split.netloc}"
        self._credentials = Credentials(
            access_key=options.get("access_key_id") or os.environ.get("AWS_ACCESS_KEY_ID", ""),
            secret_key=options.get("secret_access_key") or os.environ.get("AWS_SECRET_ACCESS_KEY", ""),
            region=region,
            token=options.get("session_token") or os.environ.get("AWS_SESSION_TOKEN", ""),
        )

    def uploads(self) -> list[Upload]:
        """Return the first thousand unfinished uploads below the prefix; the next sweep finds the rest."""
        prefix = f"{self._prefix}/" if self._prefix else ""
        answer = self._call("GET", "", {"prefix": prefix, "uploads": ""})
        root = ET.fromstring(answer)  # noqa: S314 - from the operator's own store, and capped in size
        space = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
        return [
            Upload(
                key=entry.findtext(f"{space}Key", ""),
                id=entry.findtext(f"{space}UploadId", ""),
                begun=datetime.fromisoformat(entry.findtext(f"{space}Initiated", "1970-01-01T00:00:00Z")).timestamp(),
            )
            for entry in root.iter(f"{space}Upload")
        ]

    def abort(self, upload: Upload) -> None:
        """Abort *upload* and delete its parts."""
        self._call("DELETE", "/" + quote(upload.key, safe="/~"), {"uploadId": upload.id})

    def _call(self, method: str, path: str, query: Mapping[str, str]) -> bytes:
        url = self._base + path
        asked = "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in sorted(query.items()))
        headers = signed(method, url, asked, self._credentials, datetime.now(UTC))
        request = urllib.request.Request(f"{url}?{asked}", method=method, headers=headers)  # noqa: S310 - the operator's endpoint
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310
            return bytes(answer.read(_MAX_ANSWER))


def signed(method: str, url: str, query: str, who: Credentials, now: datetime) -> dict[str, str]:
    """Return the headers that sign a request without body as *who* (AWS documentation: "Create a signed AWS API request")."""
    split = urlsplit(url)
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    headers = {"host": split.netloc, "x-amz-content-sha256": _EMPTY, "x-amz-date": stamp}
    if who.token:
        headers["x-amz-security-token"] = who.token
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    canonical = "\n".join((method, split.path or "/", query, lines, names, _EMPTY))
    scope = f"{stamp[:8]}/{who.region}/s3/aws4_request"
    to_sign = "\n".join(("AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"AWS4{who.secret_key}".encode()
    for part in (stamp[:8], who.region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.new(key, to_sign.encode(), "sha256").hexdigest()
    credential = f"{who.access_key}/{scope}"
    headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"
    del headers["host"]  # urllib sets it, to the same value
    return headers
