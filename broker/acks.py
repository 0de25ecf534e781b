"""What becomes of messages that a channel has delivered: ended, given back, or left to run out."""

# mypy: allow-untyped-calls, allow-subclassing-any, no-warn-return-any
# kombu says little of its types

import logging
from typing import Any

from kombu.transport import redis as kombu_redis
from kombu.transport.virtual import base as virtual

from broker.claims import Command
from broker.scripts import TAG

log = logging.getLogger(__name__)


def once_of(message: dict[str, Any]) -> str:
    """The id of a message that may be queued or claimed only once at a time, or nothing."""
    headers = message.get("headers") or {}
    return str(headers["id"]) if headers.get("once") else ""


class QoS(kombu_redis.QoS):
    """Ends, gives back and sweeps claims; messages of other queues are kombu's."""

    def __init__(self, channel: Any, *args: Any) -> None:
        """Look after what this channel has delivered."""
        super().__init__(channel, *args)
        self._once: dict[str, str] = {}

    def append(self, message: Any, delivery_tag: str) -> None:
        """Remember what was delivered; a claim is booked already."""
        if not delivery_tag.startswith(TAG):
            super().append(message, delivery_tag)
            return
        self._once[delivery_tag] = once_of({"headers": message.headers})
        virtual.QoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """End a claim, if it is still this one's."""
        if delivery_tag.startswith(TAG):
            self._end(delivery_tag)
        else:
            super().ack(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 - kombu's signature
        """Put a claimed message at the end of its queue, or drop it."""
        if not delivery_tag.startswith(TAG):
            super().reject(delivery_tag, requeue=requeue)
        elif requeue:
            self._heed(delivery_tag, self.channel.claims.give_back(delivery_tag, as_the="last"))
        else:
            self._end(delivery_tag)

    def restore_by_tag(self, tag: str, client: Any = None, leftmost: bool = False) -> None:  # noqa: FBT001, FBT002 - kombu's signature
        """Give a message back that nobody will work on, since its channel closes."""
        if tag.startswith(TAG):
            self._heed(tag, self.channel.claims.give_back(tag, as_the="next"))
        else:
            super().restore_by_tag(tag, client, leftmost)

    def restore_visible(self, *args: Any, **kwargs: Any) -> None:
        """Give back claims that ran out, of living and dead workers."""
        if self.channel.consumes_claimed:
            self.channel.sweep()
        if self.channel.consumes_others or not self.channel.consumes_claimed:
            super().restore_visible(*args, **kwargs)

    def forget(self) -> None:
        """Leave all claims to whoever works on them; they live as long as they are renewed."""
        self._flush()
        for tag in [tag for tag in self._delivered if tag.startswith(TAG)]:
            del self._delivered[tag]

    def _end(self, tag: str) -> None:
        self._heed(tag, self.channel.claims.end(tag, once=self._once.get(tag, "")))

    def _heed(self, tag: str, command: Command) -> None:
        try:
            if not self.channel.run(command):
                log.warning("%s had run out: its message is another worker's, or done", tag)
        finally:  # where the broker did not hear of it the claim runs out; kept here it would take a place from the channel for ever
            self._once.pop(tag, None)
            virtual.QoS.ack(self, tag)
            self.channel.wake()
