"""A bucket that is listed, whose server checks signatures as S3 does, wants its own region, and can be told to stumble."""

import re
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.utils import percent_encode
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

SCOPE = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/]+)/\d+/([^/]+)/s3/aws4_request, SignedHeaders=([^,]+), Signature=(.+)$")
SECRET = "secret"
Answer = Callable[..., Iterable[bytes]]


@dataclass
class ListedBucket:
    """Its keys in pages; an empty object each."""

    keys: list[str]
    page: int = 2
    region: str = "us-east-1"
    answers: list[Answer | None] = field(default_factory=list)
    """What is answered next in the place of a page; None for a page after all."""
    asked: list[dict[str, str]] = field(default_factory=list)
    """The queries of the listing, in turn."""
    callers: list[str] = field(default_factory=list)
    """Whose access keys they were signed by."""
    url: str = ""

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request = Request(environ)
        answer = self._answer(request, dict(parse_qsl(environ["QUERY_STRING"], keep_blank_values=True)))
        return answer(environ, start_response)

    def _answer(self, request: Request, query: dict[str, str]) -> Answer:
        found = SCOPE.match(request.headers["Authorization"])
        assert found
        caller, region, names, signature = found.groups()
        if request.method == "HEAD" or region != self.region:
            return refusal("301 Moved Permanently", "PermanentRedirect", {"x-amz-bucket-region": self.region})
        assert signature == _signature(request, caller, region, names.split(";"))
        self.asked.append(query)
        self.callers.append(caller)
        answer = self.answers.pop(0) if self.answers else None
        return answer or Response(self._listed(query), content_type="application/xml")

    def _listed(self, query: Mapping[str, str]) -> str:
        assert (query["list-type"], query["encoding-type"]) == ("2", "url")
        after = query.get("continuation-token", query.get("start-after", ""))
        keys = [key for key in self.keys[bisect_right(self.keys, after) :] if key.startswith(query["prefix"])]
        shown = keys[: min(self.page, int(query.get("max-keys", self.page)))]
        rows = "".join(
            f"<Contents><Key>{escape(percent_encode(key, safe='/'))}</Key><LastModified>2026-11-01T12:00:00.000Z</LastModified>"
            f"<ETag>&quot;{len(key)}&quot;</ETag><Size>0</Size><StorageClass>STANDARD</StorageClass></Contents>"
            for key in shown
        )
        token = f"<NextContinuationToken>{escape(shown[-1])}</NextContinuationToken>" if len(keys) > len(shown) else ""
        ending = f"<EncodingType>url</EncodingType><IsTruncated>{str(bool(token)).lower()}</IsTruncated>{token}"
        return f'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{ending}{rows}</ListBucketResult>'


def refusal(status: str, code: str, headers: Mapping[str, str] | None = None) -> Response:
    """An error as S3 writes it."""
    return Response(f"<Error><Code>{code}</Code><Message>{code}</Message></Error>", status, headers, content_type="application/xml")


def _signature(request: Request, caller: str, region: str, names: list[str]) -> str:
    """What S3 works out from what it got and the caller's secret."""
    auth = S3SigV4Auth(Credentials(caller, SECRET), "s3", region)
    url = f"{request.host_url.rstrip('/')}{request.environ['REQUEST_URI']}"
    told = AWSRequest(request.method, url, {name: request.headers[name] for name in names})
    told.context["timestamp"] = request.headers["X-Amz-Date"]
    signature: str = auth.signature(auth.string_to_sign(told, auth.canonical_request(told)), told)
    return signature


@contextmanager
def served(bucket: ListedBucket) -> Iterator[ListedBucket]:
    """Answer for a bucket, whatever its name, at its `url`."""
    server = make_server("127.0.0.1", 0, bucket, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    bucket.url = f"http://127.0.0.1:{server.port}"
    try:
        yield bucket
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
