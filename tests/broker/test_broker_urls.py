"""What a broker's URL decides: whose keys, which transport, and that every form of it leads there."""

from typing import Any

import pytest
from builders import HandmadeJob
from celery import Celery

from broker import QUEUE
from broker.app import make_app
from broker.claims import Claims
from broker.queues import ShardQueue, redis_of
from broker.transport import Transport
from broker.trials import Trials
from broker.vitals import all_vitals


@pytest.fixture
def shards() -> list[Any]:
    handmade = HandmadeJob()
    return [handmade.shard(f"{number}.mp4") for number in range(2)]


def test_every_key_has_the_prefix_and_two_fleets_do_not_meet(app: Celery, redis_url: str, shards: list[Any]) -> None:
    ours, theirs = (make_app(f"{redis_url}?key_prefix={name}:") for name in ("ours", "theirs"))
    queue = ShardQueue(ours)
    for shard in shards[:2]:
        queue.send(shard)
    Trials(ours, "job").begin("s", tag="t", worker="w")
    with ours.connection_for_read() as connection, connection.channel() as channel:
        message = channel.basic_get(QUEUE)
        with redis_of(ours) as redis:
            assert redis.execute_command(*Claims(redis.prefix).renew([message.delivery_tag])) == []
        assert len(queue.in_flight()) == 2
        assert ShardQueue(theirs).in_flight() == frozenset() == frozenset(all_vitals(theirs))
        with redis_of(app) as redis:
            assert [key for key in redis.keys("*") if not key.startswith(b"ours:")] == []
        message.ack()
    assert queue.depth() == 1
    for fleet in (ours, theirs):
        fleet.close()


@pytest.mark.usefixtures("app")  # which empties Redis
def test_celerys_own_transport_is_a_word_in_the_url_away(redis_url: str, shards: list[Any]) -> None:
    plain = make_app(f"{redis_url}?transport=celery")
    queue = ShardQueue(plain)
    queue.send(shards[0])
    with plain.connection_for_read() as connection, connection.channel() as channel:
        message = channel.basic_get(QUEUE)
        assert not message.delivery_tag.startswith("claim:")
        assert queue.depth() == 0
        assert len(queue.in_flight()) == 1
        with redis_of(plain) as redis:
            assert redis.zcard("unacked_index") == 1
            assert redis.execute_command(*Claims().renew([message.delivery_tag, "gone"], index="unacked_index")) == [b"gone"]
        message.ack()
    assert queue.in_flight() == frozenset()
    plain.close()


@pytest.mark.parametrize(
    "url", ["redis://h:1/0", "rediss://h:1/0?ssl_cert_reqs=none", "redis+socket:///s", "sentinel://a:1;sentinel://b:2/0?master_name=m"]
)
def test_every_form_of_url_leads_to_claims(url: str) -> None:
    app = make_app(url)
    connection = app.connection_for_read()
    for one in (connection, connection.clone(), connection.Pool(1).new()):
        assert issubclass(one.get_transport_cls(), Transport)
        assert one.transport_options["claimed_queues"] == (QUEUE,)
    assert connection.as_uri().split(":")[0] == url.split(":", maxsplit=1)[0]
