"""Ties the life of vLLM's processes to that of the worker that started them.

vLLM's core does not notice that its worker was killed, and would hold the accelerator's memory for ever. vLLM calls the entry point
`vllm.general_plugins` in each of its processes, which is where this is hung up.
"""

import os
import signal
from contextlib import suppress
from multiprocessing import parent_process

from workers.media.lock import kernel


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies, if it is a child that multiprocessing made."""
    parent = parent_process()
    if parent is None:  # the worker itself
        return
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    with suppress(PermissionError):  # it leads its group already
        os.setsid()  # Ctrl-C is for the worker, which still waits for answers
    if os.getppid() != parent.pid:  # it died before we asked to die with it
        os._exit(1)
