"""kombu's Redis transport, save that a message of ours is taken and booked as taken in one call.

kombu pops a message (BRPOP) and books it in a second round trip; what dies in between loses it. Here an idle channel sleeps on a
bell, and takes by one script (see `scripts`) that pops, books and stamps a fresh tag. Only queues named in the transport option
`claimed_queues` are treated so. All others, as the mailboxes of remote control, the replies to `inspect` and the events that Flower
lives on, stay kombu's own.
"""

# mypy: allow-untyped-calls, allow-subclassing-any, no-warn-return-any
# kombu says little of its types

import logging
import random
import socket
from contextlib import suppress
from queue import Empty
from time import monotonic
from typing import Any

import redis
from kombu import transport as kombu_transport
from kombu.transport import redis as kombu_redis
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import dumps, loads
from redis.exceptions import ResponseError

from broker.acks import QoS, once_of
from broker.claims import Claims, Command, Turn
from broker.scripts import BELL

log = logging.getLogger(__name__)

NAP_SECONDS = (1.5, 2.5)
"""How long an idle channel sleeps on the bell before it looks for itself: the most that a bell costs which was rung for a dead worker."""


class Channel(kombu_redis.Channel):
    """A channel over plain Redis, TLS or a unix socket."""

    QoS = QoS
    from_transport_options: Any = (*kombu_redis.Channel.from_transport_options, "claimed_queues")
    claimed_queues: tuple[str, ...] = ()
    _asked: str = ""
    """What the channel waits for: "claim", "bell", or "" for kombu's own."""
    _client_of_pool: redis.Redis | None = None
    _in_poll: Any
    _brpop_sent_at: Any
    _found_nothing = False
    _looked_at = float("-inf")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Open the channel."""
        super().__init__(*args, **kwargs)
        self.claims = Claims(self.global_keyprefix, self.visibility_timeout, self.unacked_restore_limit or 100)
        self._redis = redis.Redis(connection_pool=self.pool)  # outlives the channel, so that done work can be acknowledged
        self.wake = self.connection.wake

    def run(self, command: Command) -> Any:
        """Run a command on a connection of its own, from any thread."""
        return self._redis.execute_command(*command)

    @property
    def consumes_claimed(self) -> bool:
        """Whether it consumes queues whose messages are claimed."""
        return any(queue in self.claimed_queues for queue in self.active_queues)

    @property
    def consumes_others(self) -> bool:
        """Whether it consumes queues that are kombu's own."""
        return any(queue not in self.claimed_queues for queue in self.active_queues)

    def sweep(self) -> None:
        """Give back claims that ran out, unless a look for work has just done so."""
        if monotonic() - self._looked_at >= self.unacked_restore_interval:
            self._looked_at = monotonic()
            self.run(self.claims.sweep())

    def close(self) -> None:
        """Close, without waiting for the bell."""
        if self._in_poll and self._asked == "bell":
            self._in_poll = None
            self.client.connection.disconnect()
        super().close()

    def _create_client(self, asynchronous: bool = False) -> Any:  # noqa: FBT001, FBT002 - kombu's signature
        """Lend one client for all commands on the pool's connections, where kombu makes one, with its table of 85 commands, for each."""
        if asynchronous:
            return super()._create_client(asynchronous=True)
        if self._client_of_pool is None or self._client_of_pool.connection_pool is not self.pool:
            self._client_of_pool = super()._create_client()
        return self._client_of_pool

    def _keys(self, queues: list[str]) -> list[str]:
        return [self._q_for_pri(queue, step) for step in self.priority_steps for queue in queues]

    def _brpop_start(self, timeout: float | None = None) -> None:
        queues = self._queue_cycle.consume(len(self.active_queues))
        ours = self._keys([queue for queue in queues if queue in self.claimed_queues])
        if not ours:
            self._asked = ""
            super()._brpop_start(timeout)
        elif self._found_nothing:
            others = self._keys([queue for queue in queues if queue not in self.claimed_queues])
            self._ask("bell", self.claims.wait(ours, others=others, seconds=round(random.uniform(*NAP_SECONDS), 3)))  # noqa: S311 - spreads load
        else:
            self._looked_at = monotonic()
            self._ask("claim", self.claims.take(ours))

    def _ask(self, what: str, command: Command) -> None:
        self._asked = what
        self._in_poll = self.client.connection
        self._brpop_sent_at = monotonic()
        self.client.connection.send_command(*command)

    def _brpop_read(self, **options: Any) -> bool:
        if not self._asked:
            return bool(super()._brpop_read(**options))
        try:
            reply = self._answer()
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()
        if self._asked == "claim":
            self._found_nothing = not reply
            return self._deliver_claim(reply)
        self._found_nothing = False
        return self._deliver_other(reply)

    def _answer(self) -> Any:
        try:
            return redis.Redis.parse_response(self.client, self.client.connection, self._asked)
        except self.connection_errors:
            self._found_nothing = False
            self.client.connection.disconnect()
            raise
        except ResponseError as error:  # such as of a replica that was the master: come back, rather than die
            self.client.connection.disconnect()
            raise redis.ConnectionError(str(error)) from error

    def _deliver_claim(self, reply: Any) -> bool:
        if not reply:
            raise Empty
        queue, message = self._claimed(reply)
        self._queue_cycle.rotate(queue)
        self.connection._deliver(message, queue)  # noqa: SLF001 - kombu's own way
        return True

    def _deliver_other(self, reply: Any) -> bool:
        key, body = (bytes_to_str(part) for part in reply or (BELL, ""))
        if key.endswith(BELL):
            raise Empty
        queue = self._queue_of(key)
        self._queue_cycle.rotate(queue)
        self.connection._deliver(loads(body), queue)  # noqa: SLF001
        return True

    def _queue_of(self, key: str) -> str:
        return self.claims.name(key).rsplit(self.sep, 1)[0]

    def _claimed(self, reply: Any) -> tuple[str, dict[str, Any]]:
        key, tag, body = (bytes_to_str(part) for part in reply)
        try:
            return self._queue_of(key), self._stamped(loads(body), tag)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            log.error("dropped from %s what is no message (%r): %.200s", key, error, body)  # noqa: TRY400 - a traceback would say less
            self.run(self.claims.end(tag))  # or it would come back for ever, and end every worker
            raise Empty from error

    def _stamped(self, message: dict[str, Any], tag: str) -> dict[str, Any]:
        message["properties"]["delivery_tag"] = tag
        if message.pop("redelivered", False):
            message["headers"]["redelivered"] = True
            message["properties"]["delivery_info"]["redelivered"] = True
        return message

    def _get(self, queue: str, timeout: float | None = None) -> Any:  # noqa: ARG002 - kombu's signature
        if queue not in self.claimed_queues:
            return super()._get(queue)
        reply = self.run(self.claims.take(self._keys([queue])))
        if not reply:
            raise Empty
        return self._claimed(reply)[1]

    def _purge(self, queue: str) -> int:
        if queue not in self.claimed_queues:
            return super()._purge(queue)
        return sum(self.run(self.claims.purge(key)) for key in self._keys([queue]))

    def _delete(self, queue: str, *args: Any, **kwargs: Any) -> None:
        if queue in self.claimed_queues:
            self._purge(queue)
        super()._delete(queue, *args, **kwargs)

    def _put(self, queue: str, message: dict[str, Any], **kwargs: Any) -> None:
        if queue not in self.claimed_queues:
            super()._put(queue, message, **kwargs)
            return
        key = self._q_for_pri(queue, self._get_message_priority(message, reverse=False))
        command = self.claims.put(key, [(once_of(message), dumps(message))], turn=Turn.in_headers(message.get("headers") or {}))
        batch = kwargs.get("_publish_batch")
        if batch is None:
            self.run(command)
        else:
            batch.add("execute_command", *command)


class Transport(kombu_redis.Transport):
    """kombu's transport with claiming channels, whose event loop wakes when a claim ends, so that a freed place is filled at once."""

    Channel = Channel

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Get ready for connections."""
        super().__init__(*args, **kwargs)
        self._sockets: tuple[socket.socket, ...] = ()

    def wake(self) -> None:
        """Have the event loop look again, from any thread."""
        with suppress(OSError):  # full: it will look anyway; closed: nobody is there to look
            for waker in self._sockets[1:]:
                waker.send(b"!")

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Join Celery's event loop."""
        super().register_with_event_loop(connection, loop)
        self._sockets = socket.socketpair()
        for end in self._sockets:
            end.setblocking(False)
        loop.add_reader(self._sockets[0], self._awake)

    def close_connection(self, connection: Any) -> None:
        """Close all channels; what they hold and nobody works on goes back."""
        super().close_connection(connection)
        for end in self._sockets:
            end.close()

    def _awake(self) -> None:
        with suppress(OSError):
            self._sockets[0].recv(4096)

    def _collect(self, connection: Any) -> None:
        """Close after a lost connection or a fork: claims stay with the threads that work on them, which will acknowledge."""
        for channel in (*self.channels, *self._avail_channels):
            channel.qos.forget()
        self.close_connection(connection)


class SentinelChannel(Channel, kombu_redis.SentinelChannel):
    """A channel to the master that Sentinel names."""

    from_transport_options: Any = (*kombu_redis.SentinelChannel.from_transport_options, "claimed_queues")


class SentinelTransport(Transport):
    """The same over Sentinel."""

    Channel = SentinelChannel
    default_port: Any = kombu_redis.SentinelTransport.default_port


def install() -> None:
    """Have this process's Redis URLs, of all forms, lead to these transports, which treat only `claimed_queues` differently.

    By name, since kombu looks the name up again in pools, in clones and when Sentinels change places.
    """
    for scheme, chosen in {"redis": Transport, "rediss": Transport, "sentinel": SentinelTransport}.items():
        kombu_transport.TRANSPORT_ALIASES[scheme] = f"{__name__}:{chosen.__name__}"
        kombu_transport._transport_cache.pop(scheme, None)  # noqa: SLF001 - it may hold kombu's from before
