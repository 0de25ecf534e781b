"""Where processes that a command starts write what they say."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas.errors import OperatorError


@contextmanager
def log_folder(prefix: str) -> Iterator[Path]:
    """A folder for the logs of the block's processes, kept only where an error names it."""
    folder, named = Path(tempfile.mkdtemp(prefix=prefix)), False
    try:
        yield folder
    except OperatorError:
        named = True
        raise
    finally:
        if not named:
            shutil.rmtree(folder, ignore_errors=True)
