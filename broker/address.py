"""Where the broker is, and the few things that all who talk to it must agree on; in one URL, which travels to them all."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from schemas.errors import OperatorError

TRANSPORTS = ("claims", "celery")


@dataclass(frozen=True, slots=True)
class Address:
    """A broker's URL without what is only for us."""

    url: str
    claims: bool = True
    """Whether messages are claimed in one call, or taken as Celery's own transport takes them (`transport=celery`)."""
    key_prefix: str = ""
    """What all keys begin with, where several fleets share a Redis (`key_prefix=`)."""
    master_name: str | None = None
    """What Sentinel knows the master by (`master_name=`)."""

    @classmethod
    def of(cls, url: str) -> "Address":
        """Read a URL such as `sentinel://a:26379;sentinel://b:26379/0?master_name=main&key_prefix=fleet1:`.

        Raises:
            OperatorError: it asks for a transport that does not exist.
        """
        place, _, query = url.partition("?")
        asked = dict(parse_qsl(query))
        transport = asked.pop("transport", TRANSPORTS[0])
        if transport not in TRANSPORTS:
            raise OperatorError(f"There is no transport {transport!r} in a broker's URL; say {' or '.join(TRANSPORTS)}.")
        prefix, master = asked.pop("key_prefix", ""), asked.pop("master_name", None)
        rest = f"{place}?{urlencode(asked)}" if asked else place
        return cls(rest, transport == TRANSPORTS[0], prefix, master)

    def options(self) -> dict[str, Any]:
        """What kombu's transport is told of it."""
        named = {"global_keyprefix": self.key_prefix, "master_name": self.master_name}
        return {name: value for name, value in named.items() if value}
