"""Sockets between a worker and its decoding processes."""

import socket


def wire() -> tuple[socket.socket, socket.socket]:
    """Make a pair of ends that wait when they are read.

    Under a default time limit, which Celery sets while it shuts down, Python makes new sockets that do not wait, and whoever gets such a
    descriptor would take silence for an error.
    """
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    near.settimeout(None)
    far.settimeout(None)
    return near, far
