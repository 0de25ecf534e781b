"""A bucket by plain HTTP: what fills the torture's input and what its checker reads, without a line of the fleet's own storage code."""

from collections.abc import Iterator
from urllib.parse import quote
from xml.etree import ElementTree as ET

import httpx

WHO = "AWS4-HMAC-SHA256 Credential=test/20200101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
"""The torture's server asks for a signature, and believes any."""


class Bucket:
    """One bucket of the torture's server."""

    def __init__(self, endpoint: str, name: str) -> None:
        """Speak to the server itself, past the proxy."""
        self.name = name
        headers = {"Authorization": WHO, "Content-Type": "application/octet-stream"}
        self._client = httpx.Client(base_url=f"{endpoint}/{name}", headers=headers, timeout=60.0, trust_env=False)

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()

    def create(self) -> None:
        """Make the bucket, which from now on keeps every version of an object: an object that was written twice shows."""
        self._ask("PUT", "")
        self._ask("PUT", "", {"versioning": ""}, b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")

    def put(self, key: str, body: bytes) -> None:
        """Write an object."""
        self._ask("PUT", key, content=body)

    def get(self, key: str) -> bytes:
        """Read an object."""
        return self._ask("GET", key)

    def keys(self, prefix: str) -> list[str]:
        """List the objects under a prefix."""
        return [
            row.findtext("{*}Key", "") for page in self._pages({"list-type": "2", "prefix": prefix}) for row in page.iterfind("{*}Contents")
        ]

    def writes(self, prefix: str) -> list[str]:
        """List the keys under a prefix, each as often as it was written or deleted."""
        pages = list(self._pages({"versions": "", "prefix": prefix}))
        rows = [row for page in pages for kind in ("Version", "DeleteMarker") for row in page.iterfind(f"{{*}}{kind}")]
        return [row.findtext("{*}Key", "") for row in rows]

    def uploads(self) -> list[str]:
        """List the uploads in parts that were begun and not ended."""
        return [row.findtext("{*}Key", "") for page in self._pages({"uploads": ""}) for row in page.iterfind("{*}Upload")]

    def _pages(self, asked: dict[str, str]) -> Iterator[ET.Element]:
        marks: dict[str, str] = {}
        while True:
            page = ET.fromstring(self._ask("GET", "", asked | marks))  # noqa: S314 - our own server's answer
            yield page
            if page.findtext("{*}IsTruncated") != "true":
                return
            marks = {mark: text for mark, name in MARKS.items() if (text := page.findtext(f"{{*}}{name}"))}

    def _ask(self, method: str, key: str, asked: dict[str, str] | None = None, content: bytes = b"") -> bytes:
        answer = self._client.request(method, f"/{quote(key)}", params=asked, content=content)
        return answer.raise_for_status().content


MARKS = {
    "continuation-token": "NextContinuationToken",
    "key-marker": "NextKeyMarker",
    "version-id-marker": "NextVersionIdMarker",
    "upload-id-marker": "NextUploadIdMarker",
}
"""What the next page is asked for with, by the name under which a page tells it."""
