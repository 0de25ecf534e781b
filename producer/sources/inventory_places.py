"""Which inventory a source means: a manifest, the latest of a folder of dated ones, or what a bucket's configuration leads to."""

import posixpath
import re

from producer.sources.inventory_manifest import FIELDS, told
from schemas.errors import OperatorError
from storage import ObjectDenied, open_store, split_uri
from storage.inventory_config import InventoryPlace, inventories_of

MANIFEST = "manifest.json"
_DATED = re.compile(r"(?P<stamp>2\d{3}-\d\d-\d\dT\d\d-\d\dZ)/manifest\.(?P<kind>json|checksum)")
_OF_A_DATE = re.compile(r"\?date=([0-9TZ-]+)$")
_FORMATS = ("Parquet", "ORC", "CSV")
FOREIGN_KEYS = 5000
"""Whose first keys that begin with a 2 are these many without a dated inventory is no folder of inventories."""


def manifest_of(source: str, *, needs: frozenset[str]) -> str:
    """Find the URI of the `manifest.json` that a source means, with these columns where there is a choice.

    Raises:
        OperatorError: there is none; the message says what to do.
    """
    place, date = _place_and_date(source)
    if posixpath.basename(place) == MANIFEST:
        return place
    with told(f"The place {place}", if_missing="is not there; check the names of its bucket and folders"):
        stamps = _listed(place)
        if stamps:
            return _newest(place, stamps, date)
        if not place.startswith("s3://"):
            raise OperatorError(f"{place} has no inventory: name the folder whose folders are dated, such as 2026-11-20T01-00Z.")
        return _discovered(place, date, needs)


def prefix_in(source: str, manifest: str) -> str:
    """With which prefix keys must begin, so that they are below a source; a source that names inventories means all of their keys."""
    place, _ = _place_and_date(source)
    if manifest == place or posixpath.dirname(posixpath.dirname(manifest)) == place:
        return ""
    _, key = split_uri(place)
    return f"{key}/" if key else ""


def _place_and_date(source: str) -> tuple[str, str]:
    place, date = _OF_A_DATE.sub("", source), _OF_A_DATE.search(source)
    url, key = split_uri(place.rstrip("/"))
    return f"{url}/{key}".rstrip("/"), date.group(1) if date else ""


def _listed(place: str) -> list[str]:
    """The dates of a folder's complete inventories; none where listing is denied, since then a configuration may still lead there."""
    try:
        return _stamps(place)
    except ObjectDenied:
        return []


def _stamps(place: str) -> list[str]:
    """The dates of a folder's complete inventories, which have a checksum, in their order."""
    found: dict[str, set[str]] = {}
    for number, meta in enumerate(open_store(place).list("2")):
        if dated := _DATED.fullmatch(meta.key):
            found.setdefault(dated["stamp"], set()).add(dated["kind"])
        elif not found and number >= FOREIGN_KEYS:
            break
    return [stamp for stamp, kinds in sorted(found.items()) if kinds == {"json", "checksum"}]


def _newest(place: str, stamps: list[str], date: str) -> str:
    dated = [stamp for stamp in stamps if stamp.startswith(date)]
    if not dated:
        raise OperatorError(f"{place} has no complete inventory of {date}: its last ones are of {', '.join(stamps[-3:])}.")
    return f"{place}/{dated[-1]}/{MANIFEST}"


def _discovered(place: str, date: str, needs: frozenset[str]) -> str:
    """Follow the bucket's configuration to the newest inventory that was delivered."""
    url, prefix = split_uri(place)
    covering = _covering(place, inventories_of(url.removeprefix("s3://")), prefix=f"{prefix}/" if prefix else "")
    lacks = {inventory.name: _lacking(inventory, needs) for inventory in covering}
    fit = [inventory for inventory in covering if not lacks[inventory.name]]
    if not fit:
        said = "; ".join(f"{name} lacks {lack}" for name, lack in lacks.items())
        raise OperatorError(f"No S3 Inventory of {place} says all that is needed ({said}): add the fields to it, or list {place} itself.")
    for inventory in sorted(fit, key=_rank):
        if stamps := _stamps(inventory.url):
            return _newest(inventory.url, stamps, date)
    raise OperatorError(
        f"No S3 Inventory of {place} is delivered yet (looked in {', '.join(inventory.url for inventory in fit)}): "
        f"the first takes up to 48 hours. Until then list {place} itself."
    )


def _covering(place: str, inventories: list[InventoryPlace], *, prefix: str) -> list[InventoryPlace]:
    covering = [inventory for inventory in inventories if inventory.enabled and prefix.startswith(inventory.prefix)]
    if covering:
        return covering
    said = "; ".join(f"{found.name} {f'lists {found.prefix}' if found.enabled else 'is disabled'}" for found in inventories)
    raise OperatorError(
        f"{place} has no dated inventories below it, and no S3 Inventory that lists it is configured{f' ({said})' if said else ''}: "
        f"configure one (Parquet, with {', '.join(sorted(FIELDS.values()))} where they are optional), "
        f"name a delivered one's manifest.json, or list {place} itself."
    )


def _lacking(inventory: InventoryPlace, needs: frozenset[str]) -> str:
    return ", ".join(sorted(FIELDS[column] for column in needs - {"key"} if FIELDS[column] not in inventory.fields))


def _rank(inventory: InventoryPlace) -> tuple[bool, bool, int, int, str]:
    """The best first: it tells archived objects, has one row a key, is read fast, and has little that was not asked for."""
    tells = "StorageClass" in inventory.fields
    return (not tells, inventory.all_versions, _FORMATS.index(inventory.file_format), -len(inventory.prefix), inventory.name)
