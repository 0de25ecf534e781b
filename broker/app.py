"""The Celery application and the settings that keep messages safe on Redis."""

from typing import TypeAlias

from celery import Celery
from kombu.entity import Queue

from broker import QUEUE
from broker.address import Address
from broker.transport import install

App: TypeAlias = Celery
"""What the other rooms call the application, so that Celery keeps to its door."""
VISIBILITY_TIMEOUT_SECONDS = 12
"""How long a claim lives without a renewal; a dead worker's shard comes back within this and one sweep."""
SWEEP_SECONDS = 2


def make_app(broker_url: str) -> App:
    """Build the application for a broker at `redis://`, `rediss://`, `redis+socket://` or `sentinel://`, as `Address` reads it."""
    address = Address.of(broker_url)
    if address.claims:
        install()
    app = Celery("framefleet", broker=address.url)
    app.conf.update(
        task_queues=[Queue(QUEUE)],  # type: ignore[no-untyped-call]
        task_default_queue=QUEUE,
        task_create_missing_queues=False,
        task_acks_late=True,
        task_acks_on_failure_or_timeout=True,  # on Redis, False would drop the message; tasks requeue by themselves
        task_reject_on_worker_lost=True,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        worker_send_task_events=True,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        broker_connection_retry_on_startup=True,
        broker_transport_options={
            **address.options(),
            "claimed_queues": (QUEUE,) if address.claims else (),
            "visibility_timeout": VISIBILITY_TIMEOUT_SECONDS,
            "unacked_restore_interval": SWEEP_SECONDS,
            "unacked_restore_throttle": 1,
            "unacked_restore_limit": 100,
            "priority_steps": [0],
            "max_connections": 1024,  # a pool's default of ten fails the eleventh thread rather than let it wait
            "socket_connect_timeout": 5,
            "socket_timeout": 30,
            "socket_keepalive": True,
            "health_check_interval": 15,
        },
    )
    return app
