"""Answers to ListObjectsV2: the first as botocore gets it, the others by the same request with another query.

What botocore works out for each call (the endpoint, whether its parameters are valid, how it is written and by whom) takes most of a
page's CPU, and is the same for every page of a bucket. So the last request that it made with success is kept and asked again: botocore
signs it, by the credentials it has now, and sends it over its own connections, but does not think about it anew. Where the answer is no
page, botocore is asked to do it all, which knows how to wait, retry, follow a bucket to its region, and say what is wrong.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qsl

from botocore.exceptions import BotoCoreError
from botocore.utils import percent_encode_sequence

from storage import Page
from storage.contents import Unreadable, read_contents, read_ending

_IN_QUERY = {"Prefix": "prefix", "StartAfter": "start-after", "MaxKeys": "max-keys", "ContinuationToken": "continuation-token"}
"""What differs from page to page."""


class Answer(NamedTuple):
    """A page, and how the listing goes on."""

    page: Page
    token: str | None
    """From where."""
    goes_on: bool | None
    """None where the store does not say."""


@dataclass(frozen=True, slots=True)
class _Request:
    """What botocore made of a call, but for its query."""

    endpoint: Any
    operation: Any
    asked: dict[str, Any]
    address: str
    query: tuple[tuple[str, str], ...]
    """What stays the same of it."""

    @classmethod
    def of(cls, endpoint: Any, operation: Any, asked: Mapping[str, Any]) -> Self:
        """Keep a request without what is of one page or one attempt."""
        address, _, query = asked["url"].partition("?")
        same = [(name, value) for name, value in parse_qsl(query, keep_blank_values=True) if name not in _IN_QUERY.values()]
        return cls(endpoint, operation, dict(asked), address, tuple(same))

    def send(self, parameters: Mapping[str, Any]) -> bytes | None:
        """Ask for a page; None where the store answers with anything but success."""
        query = percent_encode_sequence([*self.query, *((name, parameters[key]) for key, name in _IN_QUERY.items() if key in parameters)])
        context = {name: value for name, value in self.asked["context"].items() if name != "retries"}  # a copy: signing writes into it
        request = self.endpoint.create_request(self.asked | {"url": f"{self.address}?{query}", "context": context}, self.operation)
        answer = self.endpoint.http_session.send(request)
        return answer.content if answer.status_code == HTTPStatus.OK else None


class Listings:
    """Pages of one bucket; safe from many threads, as a client is."""

    def __init__(self, client: Any) -> None:
        """Listen to what this client makes of its calls."""
        self._client = client
        self._request: _Request | None = None
        client.meta.events.register("before-parse.*.ListObjectsV2", _read)  # with this name before botocore looks for errors
        client.meta.events.register("needs-retry.s3.ListObjectsV2", self._keep)

    def answer(self, parameters: Mapping[str, Any]) -> Answer:
        """Ask for one page.

        Raises:
            BotoCoreError, ClientError, ResponseParserError: as `list_objects_v2` does.
            Unreadable: the answer is none.
        """
        return self._asked_again(parameters) or self._asked(parameters)

    def _asked_again(self, parameters: Mapping[str, Any]) -> Answer | None:
        request, answer = self._request, None
        try:
            body = request.send(parameters) if request else None
            answer = _answer(body) if body else None
        except (BotoCoreError, Unreadable):
            pass  # botocore meets it too and says it, or it has passed
        if not answer:
            self._request = None
        return answer

    def _asked(self, parameters: Mapping[str, Any]) -> Answer:
        answer = self._client.list_objects_v2(**parameters)
        return Answer(answer["Page"], answer.get("NextContinuationToken"), answer.get("IsTruncated"))

    def _keep(self, *, endpoint: Any, operation: Any, request_dict: Mapping[str, Any], response: Any, **_: object) -> None:
        """Remember a request that the store answered; botocore asks here whether to repeat it."""
        if response and response[0].status_code == HTTPStatus.OK:
            self._request = _Request.of(endpoint, operation, request_dict)


def _answer(body: bytes) -> Answer | None:
    """Read a page; None where the answer does not say whether it is the last."""
    page, rest = read_contents(body)
    token, goes_on = read_ending(rest)
    return None if goes_on is None else Answer(page, token, goes_on)


def _read(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object) -> None:
    """Read a page's objects before botocore does, which takes many times the CPU."""
    if response_dict["status_code"] < HTTPStatus.MULTIPLE_CHOICES:  # as botocore takes it for success: a proxy's may be 203
        customized_response_dict["Page"], response_dict["body"] = read_contents(response_dict["body"])
