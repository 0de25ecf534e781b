"""Whether a job's place can be used, said in an operator's words before anything is begun."""

from collections.abc import Iterator
from contextlib import contextmanager

from schemas.errors import OperatorError
from storage import ObjectDenied, ObjectMissing, StoreUnavailable


@contextmanager
def reached(url: str) -> Iterator[None]:
    """Say what to do where an output prefix cannot be read or written.

    Raises:
        OperatorError: it cannot.
    """
    try:
        yield
    except ObjectDenied as error:
        needs = "grant s3:GetObject, s3:PutObject and s3:ListBucket on it (of a folder, its rights), or name another"
        raise OperatorError(f"{url} may not be used with these credentials: {needs}.") from error
    except ObjectMissing as error:
        raise OperatorError(f"The bucket of {url} is not there: create it, or name another output.") from error
    except StoreUnavailable as error:
        raise OperatorError(f"{url} cannot be used now ({error}); look at the name and at --endpoint-url, and run this again.") from error
