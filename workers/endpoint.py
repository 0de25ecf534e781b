"""One HTTP endpoint: a request and its whole, bounded reply, with the key kept out of every text."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto

import httpx
from pydantic import SecretStr

from schemas.errors import FatalError
from workers.backoff import retry_after_seconds

MAX_BODY_BYTES = 4 << 20
LONGEST_SAYING = 500
"""Characters of a foreign text that reach our own messages."""


class Blame(Enum):
    """Whose setback it is."""

    BUSY = auto()
    """The server's, and it says so."""
    AWAY = auto()
    """Nobody was there to read the request."""
    FAULT = auto()
    """The request may have caused it."""


class Setback(Exception):  # noqa: N818 - it becomes an error only when it lasts
    """One try that may go better next time."""

    def __init__(self, blame: Blame, says: str, *, retry_after: float | None = None) -> None:
        """Keep who is to blame, and the seconds that the server asks for."""
        super().__init__(says)
        self.blame = blame
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply, whatever its status."""

    status: int
    retry_after: float | None
    """Seconds that the server wants us to wait."""
    body: bytes


class Endpoint:
    """Connections to one base address. The usual proxy variables of the environment hold, except for this machine itself.

    Raises:
        FatalError: base_url or api_key cannot be used.
    """

    def __init__(
        self, *, base_url: str, api_key: SecretStr | None, concurrency: int, connect_timeout_seconds: float, answer_timeout_seconds: float
    ) -> None:
        url, self._key = _usable_url(base_url), _usable_key(api_key)
        self._answer_timeout_seconds = answer_timeout_seconds
        self.url = str(url.copy_with(userinfo=b"")).rstrip("/")
        self.host = url.netloc.decode()
        self._client = httpx.AsyncClient(
            headers={"Accept-Encoding": "identity", "Content-Type": "application/json"} | _authorization(self._key),
            auth=(url.username, url.password) if url.userinfo else None,
            timeout=httpx.Timeout(None, connect=connect_timeout_seconds),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=concurrency),
            mounts={"all://localhost": None, "all://127.0.0.1": None, "all://[::1]": None},
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def exchange(self, method: str, path: str, body: bytes | None = None) -> Reply:
        """Send one request and read its reply. The deadline is over all of it, so that trickled bytes gain no time.

        Raises:
            Setback: there was no whole reply.
        """
        try:
            async with (
                asyncio.timeout(self._answer_timeout_seconds),
                self._client.stream(method, self.url + path, content=body) as response,
            ):
                retry_after = retry_after_seconds(response.headers.get("Retry-After"), now=datetime.now(UTC))
                return Reply(response.status_code, retry_after, await _read(response))
        except TimeoutError as error:
            raise Setback(Blame.FAULT, f"no whole answer within {self._answer_timeout_seconds:g} s") from error
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
            raise Setback(Blame.AWAY, self.clean(f"no connection: {type(error).__name__} {error}")) from error
        except httpx.RequestError as error:
            raise Setback(Blame.FAULT, self.clean(f"the connection broke: {type(error).__name__} {error}")) from error

    def clean(self, text: str) -> str:
        """Cut a foreign text short, on one line of printable characters, without the key."""
        scrubbed = text.replace(self._key.get_secret_value(), "***") if self._key else text
        printable = "".join(character if character.isprintable() else " " for character in scrubbed[: 2 * LONGEST_SAYING])
        return " ".join(printable.split())[:LONGEST_SAYING]


def _usable_url(base_url: str) -> httpx.URL:
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL as error:
        raise FatalError(f"FRAMEFLEET_OPENAI_BASE_URL is no address: {error}.") from error
    if url.scheme not in {"http", "https"} or not url.host or url.query or url.fragment:
        raise FatalError("FRAMEFLEET_OPENAI_BASE_URL must look like https://host/v1, without a query.")
    return url


def _usable_key(api_key: SecretStr | None) -> SecretStr | None:
    """Drop the space that files and shells leave around a key, and refuse what no header carries before a library could print it."""
    key = api_key.get_secret_value().strip() if api_key else ""
    if not (key.isascii() and key.isprintable()):
        raise FatalError("FRAMEFLEET_OPENAI_API_KEY holds characters that no key has.")
    return SecretStr(key) if key else None


def _authorization(key: SecretStr | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}


async def _read(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise Setback(Blame.FAULT, f"an answer of more than {MAX_BODY_BYTES} bytes")
    return bytes(body)
