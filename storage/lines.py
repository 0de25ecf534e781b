"""JSON lines as bytes, plain or compressed; the key's suffix says which."""

import gzip
import sys
import zlib
from collections.abc import Iterable
from typing import TypeVar

from schemas.model import Model

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["from_lines", "split_lines", "to_lines", "zstd"]

M = TypeVar("M", bound=Model)


def to_lines(models: Iterable[Model], *, key: str) -> bytes:
    """Write one JSON line per model, each ended by a newline, compressed as the key's suffix says."""
    body = b"".join(model.model_dump_json().encode() + b"\n" for model in models)
    if key.endswith(".zst"):
        return zstd.compress(body, options={zstd.CompressionParameter.checksum_flag: 1})
    return gzip.compress(body, mtime=0) if key.endswith(".gz") else body


def split_lines(body: bytes, *, key: str) -> list[bytes]:
    """Undo `to_lines`, up to the parsing.

    Raises:
        ValueError: the bytes were cut or spoiled.
    """
    try:
        if key.endswith(".zst"):
            body = zstd.decompress(body)
        elif key.endswith(".gz"):
            body = gzip.decompress(body)
    except (zstd.ZstdError, zlib.error, EOFError, OSError) as error:
        raise ValueError(str(error)) from error
    return body.splitlines()


def from_lines(kind: type[M], body: bytes, *, key: str) -> list[M]:
    """Parse what `to_lines` wrote.

    Raises:
        ValueError: the bytes were spoiled, or a line is not one of `kind` (pydantic's ValidationError is a ValueError).
    """
    return [kind.model_validate_json(line) for line in split_lines(body, key=key)]
