"""Audits that were kept with their job, under `audits/`, so that whoever watches the job knows of the last one."""

from pydantic import ValidationError

from fleet.proof import Proof
from storage.job import Job

FOLDER = "audits/"


def keep_proof(job: Job, proof: Proof) -> str:
    """Write an audit's result beside what it audited, under its moment; returns its key. Nothing is ever written over."""
    key = f"{FOLDER}{proof.at:%Y%m%dT%H%M%S.%fZ}.json"
    job.store.create(key, proof.model_dump_json(indent=2).encode() + b"\n")
    return key


def latest_proof(job: Job) -> Proof | None:
    """Read the last one that was kept; None if none was, or another version of the fleet wrote it."""
    last = None
    for meta in job.store.list(FOLDER):
        last = meta
    try:
        return None if last is None else Proof.model_validate_json(job.store.get(last.key))
    except ValidationError:
        return None
