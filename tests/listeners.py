"""Which ports processes listen on, and what Beam's services there hand out."""

import contextlib
import ipaddress
from pathlib import Path

import grpc
from apache_beam.portability import common_urns
from apache_beam.portability.api import (
    beam_artifact_api_pb2,
    beam_artifact_api_pb2_grpc,
    beam_runner_api_pb2,
)

__all__ = ["artifact", "listening"]

_LISTEN = "0A"  # the kernel's number of that state


def listening(pids: set[int]) -> set[tuple[str, int]]:
    """Returns address and port of every socket of these processes that listens."""
    inodes = {inode for pid in pids for inode in _sockets(pid)}
    addresses = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTEN and fields[9] in inodes:
                address, port = fields[1].split(":")
                addresses.add((_text(address), int(port, 16)))
    return addresses


def artifact(port: int, path: Path) -> bytes:
    """Returns a file as Beam's artifact service hands it out; b"" if it does not."""
    payload = beam_runner_api_pb2.ArtifactFilePayload(path=str(path))
    wanted = beam_runner_api_pb2.ArtifactInformation(
        type_urn=common_urns.artifact_types.FILE.urn,
        type_payload=payload.SerializeToString(),
    )
    request = beam_artifact_api_pb2.GetArtifactRequest(artifact=wanted)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = beam_artifact_api_pb2_grpc.ArtifactRetrievalServiceStub(channel)
        try:
            return b"".join(part.data for part in stub.GetArtifact(request, timeout=3))
        except grpc.RpcError:
            return b""


def _text(address: str) -> str:
    """Returns an address that the kernel wrote as 32-bit words, low byte first."""
    content = bytes.fromhex(address)
    words = [content[i : i + 4][::-1] for i in range(0, len(content), 4)]
    number = ipaddress.ip_address(b"".join(words))
    return str(getattr(number, "ipv4_mapped", None) or number)


def _sockets(pid: int) -> set[str]:
    found = set()
    with contextlib.suppress(OSError):  # the process is gone
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            # This process sees the descriptor with which it read the list, now closed.
            with contextlib.suppress(OSError):
                target = str(descriptor.readlink())
                if target.startswith("socket:["):
                    found.add(target[len("socket:[") : -1])
    return found
