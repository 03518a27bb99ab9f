"""`clipmill rank_table`: HCCL's rank table, version 1.0, from hosts' hccn.conf files.

MindSpore's msrun needs none, some launchers on Ascend do. Each host's /etc/hccn.conf
has a line for each device: address_0=192.168.1.8.
"""

import ipaddress
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mindrecord_io.commands import command_line
from mindrecord_io.commands.command_line import CommandParser
from mindrecord_io.storage import files

__all__ = ["RankTableError", "main", "make", "rank_table_parser", "read_hccn_conf"]

_GROUP = 4  # of a server of eight, devices 0 to 3 are linked, and 4 to 7


class RankTableError(ValueError):
    """A host's devices make no rank table."""


def read_hccn_conf(path: Path) -> dict[int, str]:
    """Returns the address of each device of a host.

    Raises:
      RankTableError: there are none, or one is no address.
    """
    pattern = re.compile(r"^address_(\d+)\s*=\s*(\S+)\s*$", re.MULTILINE)
    addresses = {int(n): ip for n, ip in pattern.findall(path.read_text("utf-8"))}
    if not addresses:
        raise RankTableError(f"{path} has no line such as address_0=192.168.1.8")
    for device, address in addresses.items():
        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise RankTableError(
                f"{path}: address_{device} must be an IP address, got {address!r}"
            ) from None
    return addresses


def make(
    hosts: Sequence[tuple[str, Mapping[int, str]]], devices: Sequence[int]
) -> dict[str, Any]:
    """Returns the rank table of the same devices on every host.

    Args:
      hosts: each server's id and the addresses of its devices.
      devices: ids of those that take part, in the order of the ranks.

    Raises:
      RankTableError: a host lacks a device, an address is there twice, or the devices
        cross the two groups of a server without being all of them.
    """
    _check_groups(devices)
    servers: list[dict[str, Any]] = []
    owners: dict[str, str] = {}
    rank = 0
    for server_id, addresses in hosts:
        if any(server["server_id"] == server_id for server in servers):
            raise RankTableError(f"host {server_id} is given twice")
        rows = []
        for device in devices:
            if device not in addresses:
                known = ", ".join(map(str, sorted(addresses)))
                raise RankTableError(
                    f"host {server_id} has no device {device}, it has {known}"
                )
            place, address = f"device {device} of {server_id}", addresses[device]
            if address in owners:
                raise RankTableError(
                    f"{address} is of {owners[address]} and of {place}: each device "
                    f"needs an address of its own"
                )
            owners[address] = place
            row = {"device_id": str(device), "device_ip": address}
            rows.append(row | {"rank_id": str(rank)})
            rank += 1
        servers.append(
            {"server_id": server_id, "device": rows, "host_nic_ip": "reserve"}
        )
    return {
        "version": "1.0",
        "server_count": str(len(servers)),
        "server_list": servers,
        "status": "completed",
    }


def _check_groups(devices: Sequence[int]) -> None:
    groups = {device // _GROUP for device in devices}
    if not devices or len(set(devices)) != len(devices):
        raise RankTableError(f"devices must be at least one, each once: {devices}")
    if len(groups) > 1 and len(devices) < 2 * _GROUP:
        raise RankTableError(
            f"devices 0 to 3 and 4 to 7 are linked among themselves: take all eight or "
            f"of one group, not {', '.join(map(str, devices))}"
        )


def rank_table_parser() -> CommandParser:
    """Returns the parser of `rank_table`."""
    parser = CommandParser(
        "rank_table",
        "Writes HCCL's rank table of hosts with Ascend devices; msrun needs none.",
        example="--hosts 10.0.0.1=a/hccn.conf 10.0.0.2=b/hccn.conf --output table.json",
    )
    parser.add_argument(
        "--hosts",
        nargs="+",
        required=True,
        type=_host,
        metavar="ID=FILE",
        help="each server's address and a copy of its /etc/hccn.conf, first rank first",
    )
    parser.add_argument(
        "--devices",
        nargs="+",
        type=command_line.non_negative_int,
        default=tuple(range(8)),
        metavar="N",
        help="ids of the devices of each host; by default 0 to 7",
    )
    parser.add_argument(
        "--output",
        type=command_line.local_path,
        required=True,
        metavar="FILE",
        help="JSON file to write",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Writes a table; returns 0, 1 if that failed, or 2 for wrong usage."""
    flags = rank_table_parser().parse_args(argv)

    def write() -> dict[str, Any]:
        hosts = [(name, read_hccn_conf(path)) for name, path in flags.hosts]
        table = make(hosts, flags.devices)
        text = json.dumps(table, indent=1) + "\n"
        files.replace_file(flags.output, text.encode())
        num_ranks = len(hosts) * len(flags.devices)
        return {"output": str(flags.output), "num_ranks": num_ranks}

    return command_line.run("rank_table", write)


def _host(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not name or not equals:
        raise command_line.WrongFlagError(f"must be ID=FILE, got {text!r}")
    return name, command_line.local_path(path)
