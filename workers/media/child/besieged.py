"""A fork server like the other, but for what its locked children do: they attack."""

import json

from workers.media.child import zygote
from workers.media.child.channel import Channel
from workers.media.child.report import Report
from workers.media.lock.attacks import ATTACKS, Target
from workers.media.wire import Job


def main(control_descriptor: int, *, enforced: bool, reused: bool) -> None:  # noqa: ARG001 - no attacker attacks twice
    """Fork attackers on request."""
    zygote.main(control_descriptor, enforced=enforced, deed=_attack)


def _attack(job: Job, channel: Channel, _: Report) -> None:
    """Read an attack's name and its target in place of a video, try it, and tell how it went if there is anyone left to tell."""
    name, target = json.loads(channel.read(0, job.size_bytes))
    try:
        ATTACKS[name](Target(**target))
    except Exception as error:  # noqa: BLE001 - whatever stopped it, it was stopped
        channel.say("outcome", got_through=False, how=str(error) or type(error).__name__)
    else:
        channel.say("outcome", got_through=True, how="nothing stopped it")
    channel.wait_for_goodbye()
