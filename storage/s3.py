"""Objects in S3 or a store that speaks like it: boto3 knows who and where we are and lists, obstore moves the bytes.

Listing is boto3's because obstore (0.12) cannot list what it cannot address: it ends at the first key with an empty part, drops the slash
that tells `a/` from `a`, and does not say by type that a bucket is missing or denied.
"""

import hashlib
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import botocore.loaders
import botocore.session
import obstore
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.parsers import ResponseParserError
from obstore import exceptions
from obstore.auth.boto3 import Boto3CredentialProvider
from obstore.store import S3Store as Bucket

from schemas.errors import OperatorError
from schemas.redaction import Redactor
from storage import ObjectChanged, ObjectDenied, ObjectMeta, ObjectMissing, Page, StoreError, StoreUnavailable
from storage.contents import Unreadable
from storage.listings import Answer, Listings
from storage.pages import below, objects_of

if TYPE_CHECKING:
    from obstore import GetOptions

CONNECT_SECONDS = 4
SILENCE_SECONDS = 15
"""How long a server may say nothing; sending the body of a created object counts."""
REQUEST_SECONDS = 300
RETRY_SECONDS = 10
RETRIES = 6
CREDENTIAL_SECONDS = 600
"""boto3 promises credentials that live ten minutes more, so obstore may keep them that long."""
CREATE_TRIES = 5
PAGE_KEYS = 1000
"""How many objects S3 shows in one answer at most."""

HIDE_SECRETS = Redactor()
_LOADER = botocore.loaders.create_loader()
"""Shared, since reading what S3 is takes 100 ms each time."""
_CONFIG = Config(
    user_agent="framefleet",  # what botocore would say of itself takes a tenth of a listing's CPU
    connect_timeout=CONNECT_SECONDS,
    read_timeout=RETRY_SECONDS,
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=32,
)
_MEANINGS = {
    HTTPStatus.NOT_FOUND: ObjectMissing,
    HTTPStatus.UNAUTHORIZED: ObjectDenied,
    HTTPStatus.FORBIDDEN: ObjectDenied,
    HTTPStatus.PRECONDITION_FAILED: ObjectChanged,
}
_NOT_FOR_OBSTORE = re.compile(r"[\x00-\x1f\x7f]|^/|/$|//|(^|/)\.\.?(/|$)")


class S3Store:
    """A bucket, or what lies under a prefix of it. Metadata of every created object carries the SHA-256 of its bytes."""

    def __init__(self, bucket: str, *, prefix: str = "") -> None:
        self.url = f"s3://{bucket}/{prefix}" if prefix else f"s3://{bucket}"
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._session, self._client = _connect(bucket)
        self._listings = Listings(self._client)
        self._objects = _open_bucket(bucket, self._session, self._client)

    def head(self, key: str) -> ObjectMeta:
        """Look at an object without reading it."""
        path = self._prefix + key
        with self._errors(key):
            if _NOT_FOR_OBSTORE.search(path):
                answer = self._client.head_object(Bucket=self._bucket, Key=path)
                return ObjectMeta(key=key, size_bytes=answer["ContentLength"], etag=answer["ETag"])
            meta = obstore.head(self._objects, path)
            return ObjectMeta(key=key, size_bytes=meta["size"], etag=meta["e_tag"] or "")

    def get(self, key: str) -> bytes:
        """Read a whole object."""
        path = self._prefix + key
        with self._errors(key):
            if _NOT_FOR_OBSTORE.search(path):
                return self._get_by_boto(path)
            return obstore.get(self._objects, path).bytes().to_bytes()

    def get_range(self, key: str, *, start: int, end: int, etag: str | None = None) -> bytes:
        """Read some bytes, of this very etag if one is given."""
        if start < end:
            try:
                return self._get_range(key, start=start, end=end, etag=etag)
            except StoreUnavailable:  # also what a 416 looks like: obstore has no type for it
                if start < self._pinned(key, etag).size_bytes:
                    raise
        else:
            self._pinned(key, etag)
        return b""

    def pages(self, prefix: str = "", *, start_after: str = "", most: int = PAGE_KEYS) -> Iterator[Page]:
        """Stream pages in the order S3 gives (directory buckets have none); markers of folders, `a/`, are left out."""
        asked: dict[str, Any] = {"Bucket": self._bucket, "Prefix": self._prefix + prefix}
        if start_after:
            asked["StartAfter"] = self._prefix + start_after
        if most < PAGE_KEYS:  # more than that S3 never sends
            asked["MaxKeys"] = most
        for answer in self._answers(prefix, asked):
            if found := below(self._prefix, answer.page):
                yield found

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectMeta]:
        """Stream the objects of the same pages one by one."""
        yield from objects_of(self.pages(prefix, start_after=start_after))

    def create(self, key: str, body: bytes) -> bool:
        """Write an object by one conditional PUT; where one is there already, its SHA-256 tells whose it is.

        Raises:
            OperatorError: the key has parts that cannot be written safely.
        """
        self._check_name(key)
        sha256 = hashlib.sha256(body).hexdigest()
        for attempt in range(CREATE_TRIES):
            if self._put(key, body, sha256):
                return True
            try:
                return self._has(key, body, sha256)
            except ObjectMissing:  # a conflict (409) with a writer who lost in the end
                time.sleep(0.05 * 2**attempt)
        message = f"{self.url}/{key} was in conflict {CREATE_TRIES} times, and each time it was not there."
        raise StoreUnavailable(message)

    def replace(self, key: str, body: bytes) -> None:
        """Write an object by one PUT without a condition.

        Raises:
            OperatorError: the key has parts that cannot be written safely.
        """
        self._check_name(key)
        sha256 = hashlib.sha256(body).hexdigest()
        with self._errors(key):
            obstore.put(self._objects, self._prefix + key, body, mode="overwrite", use_multipart=False, attributes={"sha256": sha256})

    def _answers(self, prefix: str, asked: dict[str, Any]) -> Iterator[Answer]:
        ended = False
        while not ended:
            with self._errors(prefix):
                answer = self._listings.answer(asked)
            yield answer
            ended = answer.goes_on is False
            if not ended and answer.token in {None, asked.get("ContinuationToken")}:
                message = f"{self.url}/{prefix}: its listing goes on, but the store does not say from where."
                raise StoreUnavailable(message)
            asked = asked | {"ContinuationToken": answer.token}

    def _check_name(self, key: str) -> None:
        if _NOT_FOR_OBSTORE.search(self._prefix + key):
            message = f"{self.url}/{key} cannot be written: choose a name without empty parts, `.`, `..` and control characters."
            raise OperatorError(message)

    def _put(self, key: str, body: bytes, sha256: str) -> bool:
        with self._errors(key):
            try:
                obstore.put(self._objects, self._prefix + key, body, mode="create", use_multipart=False, attributes={"sha256": sha256})
            except exceptions.AlreadyExistsError:
                return False
            return True

    def _has(self, key: str, body: bytes, sha256: str) -> bool:
        """Whether the object has these bytes; a store that keeps no metadata has to send them."""
        with self._errors(key):
            found = obstore.get(self._objects, self._prefix + key, options={"head": True}).attributes.get("sha256")
        return found == sha256 if found else self.get(key) == body

    def _get_range(self, key: str, *, start: int, end: int, etag: str | None) -> bytes:
        path = self._prefix + key
        with self._errors(key):
            if _NOT_FOR_OBSTORE.search(path):
                return self._get_by_boto(path, Range=f"bytes={start}-{end - 1}", **({"IfMatch": etag} if etag else {}))
            asked: GetOptions = {"range": (start, end)}
            if etag:
                asked["if_match"] = etag
            return obstore.get(self._objects, path, options=asked).bytes().to_bytes()

    def _pinned(self, key: str, etag: str | None) -> ObjectMeta:
        """Look at an object that must have this very etag if one is given."""
        meta = self.head(key)
        if etag is not None and meta.etag != etag:
            message = f"{self.url}/{key} is no longer the object with etag {etag}, but {meta.etag}."
            raise ObjectChanged(message)
        return meta

    def _get_by_boto(self, path: str, **asked: str) -> bytes:
        body: bytes = self._client.get_object(Bucket=self._bucket, Key=path, **asked)["Body"].read()
        return body

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        """Name what happened to an object in the words of all stores."""
        try:
            yield
        except (FileNotFoundError, exceptions.BaseError, ClientError, BotoCoreError, ResponseParserError, Unreadable) as error:
            message = f"{self.url}/{key}: {HIDE_SECRETS(str(error).partition(chr(10))[0])}"
            raise self._meaning(error)(message) from error

    def _meaning(self, error: Exception) -> type[StoreError]:
        match error:
            case FileNotFoundError():
                return ObjectMissing
            case exceptions.PermissionDeniedError():
                return ObjectDenied
            case exceptions.UnauthenticatedError():
                return ObjectDenied if self._has_credentials() else StoreUnavailable
            case exceptions.PreconditionError():
                return ObjectChanged
            case ClientError():
                return _MEANINGS.get(error.response["ResponseMetadata"]["HTTPStatusCode"], StoreUnavailable)
            case _:
                return StoreUnavailable

    def _has_credentials(self) -> bool:
        """Whether boto3 can say who we are just now: if it cannot, obstore takes that for a refusal."""
        try:
            self._session.get_credentials().get_frozen_credentials()
        except BotoCoreError:
            return False
        return True


def _connect(bucket: str) -> tuple[boto3.Session, Any]:
    """Find credentials, endpoint and region as every tool of AWS does: environment, profile, configuration, role."""
    try:
        core = botocore.session.Session()
        core.register_component("data_loader", _LOADER)
        session = boto3.Session(botocore_session=core)
        if session.get_credentials() is None:
            message = "No AWS credentials were found: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run under a role."
            raise OperatorError(message)
        client = session.client("s3", config=_CONFIG)
        if _is_aws(client.meta.endpoint_url):
            client = session.client("s3", config=_CONFIG, region_name=_region_of(bucket, client))
    except BotoCoreError as error:
        message = f"s3://{bucket} cannot be opened: {error}"
        raise OperatorError(message) from error
    return session, client


def _is_aws(endpoint_url: str) -> bool:
    return ".amazonaws.com" in (urlsplit(endpoint_url).hostname or "")


def _region_of(bucket: str, client: Any) -> str:
    """The region a bucket lives in, which S3 tells even those it denies the bucket to; the client's own where it does not say."""
    headers: dict[str, str] = {}
    try:
        headers = client.head_bucket(Bucket=bucket)["ResponseMetadata"]["HTTPHeaders"]
    except ClientError as error:
        headers = error.response["ResponseMetadata"]["HTTPHeaders"]
    except HTTPClientError:
        pass  # whoever reads or writes next will hear of it as a passing fault, which it may be
    return headers.get("x-amz-bucket-region") or client.meta.region_name.replace("aws-global", "us-east-1")


def _open_bucket(bucket: str, session: boto3.Session, client: Any) -> Bucket:
    """Let obstore speak to the endpoint that boto3 found; the bucket stands in the path, which every endpoint understands."""
    return Bucket(
        bucket,
        endpoint=client.meta.endpoint_url,
        region=client.meta.region_name,
        virtual_hosted_style_request=False,
        credential_provider=Boto3CredentialProvider(session, ttl=timedelta(seconds=CREDENTIAL_SECONDS)),
        client_options={
            "allow_http": not _is_aws(client.meta.endpoint_url),
            "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
            "read_timeout": timedelta(seconds=SILENCE_SECONDS),
            "timeout": timedelta(seconds=REQUEST_SECONDS),
        },
        retry_config={
            "max_retries": RETRIES,
            "retry_timeout": timedelta(seconds=RETRY_SECONDS),
            "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=3), "base": 2},
        },
    )
