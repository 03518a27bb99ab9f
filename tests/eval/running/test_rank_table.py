"""HCCL's rank table, against one written by hand from its documentation."""

import json
import re

import pytest

from eval.running import rank_table

TWO_HOSTS = """
{"version": "1.0", "server_count": "2", "server_list": [
 {"server_id": "10.0.0.1", "device": [
  {"device_id": "0", "device_ip": "192.168.100.101", "rank_id": "0"},
  {"device_id": "1", "device_ip": "192.168.101.101", "rank_id": "1"},
  {"device_id": "2", "device_ip": "192.168.102.101", "rank_id": "2"},
  {"device_id": "3", "device_ip": "192.168.103.101", "rank_id": "3"},
  {"device_id": "4", "device_ip": "192.168.100.100", "rank_id": "4"},
  {"device_id": "5", "device_ip": "192.168.101.100", "rank_id": "5"},
  {"device_id": "6", "device_ip": "192.168.102.100", "rank_id": "6"},
  {"device_id": "7", "device_ip": "192.168.103.100", "rank_id": "7"}],
  "host_nic_ip": "reserve"},
 {"server_id": "10.0.0.2", "device": [
  {"device_id": "0", "device_ip": "192.168.100.103", "rank_id": "8"},
  {"device_id": "1", "device_ip": "192.168.101.103", "rank_id": "9"},
  {"device_id": "2", "device_ip": "192.168.102.103", "rank_id": "10"},
  {"device_id": "3", "device_ip": "192.168.103.103", "rank_id": "11"},
  {"device_id": "4", "device_ip": "192.168.100.102", "rank_id": "12"},
  {"device_id": "5", "device_ip": "192.168.101.102", "rank_id": "13"},
  {"device_id": "6", "device_ip": "192.168.102.102", "rank_id": "14"},
  {"device_id": "7", "device_ip": "192.168.103.102", "rank_id": "15"}],
  "host_nic_ip": "reserve"}],
 "status": "completed"}
"""


def conf(first, second):
    """The hccn.conf of a host whose two groups end in these bytes."""
    lines = [f"address_{n}=192.168.{100 + n}.{first}" for n in range(4)]
    lines += [f"address_{n + 4}=192.168.{100 + n}.{second}" for n in range(4)]
    masks = [f"netmask_{n}=255.255.255.0" for n in range(8)]
    return "\n".join(lines + masks) + "\n"


@pytest.fixture
def files(tmp_path):
    paths = {}
    for host, ends in (("10.0.0.1", (101, 100)), ("10.0.0.2", (103, 102))):
        paths[host] = tmp_path / f"hccn-{host}.conf"
        paths[host].write_text(conf(*ends))
    return paths


def words_of(files, *rest):
    hosts = [f"{host}={path}" for host, path in files.items()]
    return ["--hosts", *hosts, *rest]


def test_two_hosts_of_eight_devices_make_the_table_written_by_hand(files, tmp_path):
    output = tmp_path / "table.json"
    assert rank_table.main(words_of(files, "--output", str(output))) == 0
    assert json.loads(output.read_text()) == json.loads(TWO_HOSTS)


@pytest.mark.parametrize(
    ("hosts", "devices", "message"),
    [
        ([("a", {0: "10.1.1.1"})], [0, 1], "host a has no device 1, it has 0"),
        (
            [("a", {0: "10.1.1.1"}), ("b", {0: "10.1.1.1"})],
            [0],
            "10.1.1.1 is of device 0 of a and of device 0 of b",
        ),
        ([("a", {0: "1.1.1.1"}), ("a", {0: "1.1.1.2"})], [0], "host a is given twice"),
        ([("a", {})], [3, 4], "0 to 3 and 4 to 7 are linked among themselves"),
        ([("a", {})], [1, 1], "at least one, each once"),
    ],
)
def test_what_does_not_fit_is_refused(hosts, devices, message):
    with pytest.raises(rank_table.RankTableError, match=re.escape(message)):
        rank_table.make(hosts, devices)


@pytest.mark.parametrize(
    ("text", "message"),
    [("gateway=1\n", "no line such as address_0="), ("address_0=1.2\n", "got '1.2'")],
)
def test_a_file_without_addresses_is_refused(tmp_path, text, message):
    path = tmp_path / "hccn.conf"
    path.write_text(text)
    with pytest.raises(rank_table.RankTableError, match=re.escape(message)):
        rank_table.read_hccn_conf(path)
