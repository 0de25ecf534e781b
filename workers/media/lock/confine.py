"""The lock: what a fork server prepares once, and each child puts on before it meets untrusted bytes."""

import contextlib
import itertools
import os
import resource
import signal
from collections.abc import Iterator
from dataclasses import dataclass

from workers.media.lock import kernel, landlock, namespaces
from workers.media.lock.layers import Findings
from workers.media.lock.seccomp import Filter, compile_filter
from workers.media.lock.syscalls import this_machine

NOTHING = (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC, resource.RLIMIT_NOFILE)
FIRST_TO_DIE = "1000"


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock that is ready to be put on."""

    parent: int
    """The fork server's pid."""
    base_bytes: int
    """The fork server's address space, which is a child's before it did anything."""
    filter: Filter | None
    ruleset: int | None
    """Landlock's; None where there is none."""
    enforced: bool
    """Whether a child without the required layers must leave."""

    def forsake(self, *, keep: set[int]) -> None:
        """Die with the parent, and give up files and every descriptor but those to `keep`."""
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != self.parent:  # it died before we asked to die with it
            os._exit(1)
        self.restrict_files()
        edges = [-1, *sorted(keep), os.sysconf("SC_OPEN_MAX")]
        for low, high in itertools.pairwise(edges):
            os.closerange(low + 1, high)

    def restrict_files(self) -> None:
        """Put Landlock on where there is one."""
        if self.ruleset is not None:
            landlock.restrict(self.ruleset)

    def close(self, *, memory_bytes: int, cpu_seconds: int) -> None:
        """Bind this process by limits and by the filter: from here on it can compute, use the sockets it has, and end.

        Raises:
            OSError: a required layer cannot be had, and is enforced.
        """
        with self._required():
            if kernel.prctl(kernel.PR_GET_NO_NEW_PRIVS) != 1:
                raise OSError("privileges can be gained")
        with self._required():
            self.limit(memory_bytes=memory_bytes, cpu_seconds=cpu_seconds)
        with self._required():
            self.install_filter()

    def limit(self, *, memory_bytes: int, cpu_seconds: int) -> None:
        """Set the limits that the kernel keeps: no new files, threads, processes or core dumps; so much memory and CPU."""
        _set(resource.RLIMIT_AS, self.base_bytes + memory_bytes, self.base_bytes + memory_bytes)
        _set(resource.RLIMIT_CPU, cpu_seconds, cpu_seconds + 1)
        for nothing in NOTHING:
            _set(nothing, 0, 0)

    def install_filter(self) -> None:
        """Put the filter of system calls on, for this very process."""
        if self.filter is None:
            raise OSError("there is no filter of system calls")
        self.filter.install(os.getpid())

    @contextlib.contextmanager
    def _required(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            if self.enforced:
                raise


def prepare(findings: Findings, *, enforced: bool) -> Lock:
    """Confine the fork server as far as its work allows, which its children inherit, and make what they put on themselves."""
    base_bytes = _address_space_bytes()
    _offer_to_die_first()
    findings.attempt("no_new_privs", _gain_no_privileges)
    entered = findings.attempt("namespaces", namespaces.enter, tell=", ".join)
    if entered:
        findings.attempt("empty_root", namespaces.empty_root)
    findings.attempt("no_capabilities", namespaces.drop_capabilities)
    findings.attempt("not_dumpable", kernel.hide)
    ruleset = findings.attempt("landlock", landlock.empty_ruleset, tell=lambda _: f"version {landlock.version()}")
    compiled = findings.attempt(
        "seccomp", lambda: compile_filter(this_machine()), tell=lambda program: f"{program.instructions} instructions"
    )
    return Lock(os.getpid(), base_bytes, compiled, ruleset, enforced)


def _address_space_bytes() -> int:
    with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123 - nothing more than needed in the zygote
        return int(statm.read().split()[0]) * resource.getpagesize()


def _offer_to_die_first() -> None:
    """Where a machine runs out of memory, a decoder is missed less than a worker."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as score:  # noqa: PTH123
        score.write(FIRST_TO_DIE)


def _gain_no_privileges() -> None:
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)


def _set(which: int, soft: int, hard: int) -> None:
    ceiling = resource.getrlimit(which)[1]
    if ceiling != resource.RLIM_INFINITY:
        soft, hard = min(soft, ceiling), min(hard, ceiling)
    resource.setrlimit(which, (soft, hard))
