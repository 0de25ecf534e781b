"""What containers stand on, for processes of one machine that stand for them: an own network, names that lead to services, folders."""

import fcntl
import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from composed import Service

NAMESPACES = ["unshare", "--user", "--map-root-user", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
"""A network that no other test has ports in, and processes that end with their first."""
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
NAMESERVER = "127.0.0.1"
ADDRESS_RECORD = 1
Names = Mapping[str, list[str]]


def raise_loopback() -> None:
    """A new network has its loopback down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        asked = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket, SIOCGIFFLAGS, asked))[1]
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


def serve_names(names: Names, folder: Path) -> None:
    """Answer who asks for a service's addresses, and have everybody on this ground ask here."""
    config = folder / "resolv.conf"
    config.write_text(f"nameserver {NAMESERVER}\noptions ndots:0\n")  # as a container's
    subprocess.run([shutil.which("mount") or "mount", "--bind", config, "/etc/resolv.conf"], check=True)
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((NAMESERVER, 53))
    threading.Thread(target=_answer_all, args=(server, names), daemon=True).start()


def _answer_all(server: socket.socket, names: Names) -> None:
    while True:
        query, caller = server.recvfrom(4096)
        with suppress(OSError):
            server.sendto(answer(query, names), caller)


def answer(query: bytes, names: Names) -> bytes:
    """The answer to one DNS question (RFC 1035, 4.1): every address of the name, or that there is no such name."""
    labels = list(_labels(query))
    end = 12 + sum(len(label) + 1 for label in labels) + 5
    name, (kind,) = b".".join(labels).decode(), struct.unpack_from("!H", query, end - 4)
    addresses = names.get(name, []) if kind == ADDRESS_RECORD else []
    head = struct.pack("!2sHHHHH", query[:2], 0x8180 | (0 if name in names else 3), 1, len(addresses), 0, 0)
    records = (struct.pack("!HHHIH4s", 0xC00C, ADDRESS_RECORD, 1, 0, 4, socket.inet_aton(one)) for one in addresses)
    return head + query[12:end] + b"".join(records)


def _labels(query: bytes) -> Iterator[bytes]:
    at = 12
    while query[at]:
        yield query[at + 1 : at + 1 + query[at]]
        at += 1 + query[at]


class Folders:
    """A container's file system as far as its service names it: each path leads below a folder of its own."""

    def __init__(self, root: Path, service: Service) -> None:
        self._root, self._paths = root, [*service.tmpfs_paths, *(mount.target for mount in service.volumes)]
        for path in service.tmpfs_paths:
            self.at(path).mkdir(parents=True, exist_ok=True)
        for mount in service.volumes:
            place = self.at(mount.target)
            place.parent.mkdir(parents=True, exist_ok=True)
            if mount.path is None:
                place.mkdir(exist_ok=True)
            elif mount.path.is_dir():
                shutil.copytree(mount.path, place, dirs_exist_ok=True)
            else:
                shutil.copy(mount.path, place)

    def at(self, path: str) -> Path:
        """Where a path of the container lies."""
        return self._root / path.removeprefix("/")

    def moved(self, text: str) -> str:
        """A word of a command or a variable, with the container's paths in it."""
        for path in sorted(self._paths, key=len, reverse=True):
            head, found, tail = text.partition(path)
            if found and not head.endswith(("/", ":")) and not tail[:1].isalnum():
                return f"{head}{self.at(path)}{tail}"
        return text
