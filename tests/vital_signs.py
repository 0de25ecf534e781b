"""What workers say of themselves, made up."""

from broker.vitals import Vitals


def vitals(worker: str, **fields) -> Vitals:
    """A worker that has been at work for ten seconds, with two frames a second."""
    given = {
        "worker": worker,
        "engine": "scripted",
        "model": "tiny@1",
        "seconds_at_work": 10.0,
        "idle_seconds": 0.0,
        "frames": 20,
        "captioned": 20,
        "recent_seconds": 10.0,
        "recent_frames": 20,
        "recent_captioned": 20,
        "ceiling_frames_per_second": None,
        "dollars_per_hour": None,
        "window": 8,
        "in_flight": 8,
        "pictures_waiting": 3,
        "rungs": {"constrained": {"accepted": 20}},
        "questions": 20,
        "tokens": {"prompt": 100},
    }
    return Vitals.model_validate(given | fields)
