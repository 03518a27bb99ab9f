"""Processes that another launcher than msrun has started."""

import json

import pytest

from eval.running import config_file, rank_group


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OMPI_COMM_WORLD_SIZE": "1", "RANK_SIZE": "1", "RANK_TABLE_FILE": "/none"},
        {"MS_ROLE": "MS_WORKER", "RANK_SIZE": "8", "OMPI_COMM_WORLD_SIZE": "8"},
    ],
)
def test_one_process_and_msruns_are_welcome(environment):
    rank_group.check_launcher(environment)


@pytest.mark.parametrize(
    "name", ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "RANK_SIZE", "WORLD_SIZE"]
)
def test_several_processes_of_another_launcher_are_refused(monkeypatch, name):
    monkeypatch.setenv(name, "8")
    with pytest.raises(
        config_file.ConfigError, match=f"{name} is for 8 .*`msrun --worker_num=8 "
    ):
        rank_group.join()


@pytest.mark.parametrize(("num_devices", "is_fine"), [(1, True), (2, False)])
def test_a_rank_table_is_of_several_processes_if_it_lists_several_devices(
    tmp_path, num_devices, is_fine
):
    devices = [{"device_id": str(i), "rank_id": str(i)} for i in range(num_devices)]
    table = tmp_path / "table.json"
    table.write_text(json.dumps({"server_list": [{"device": devices}]}))
    environment = {"RANK_TABLE_FILE": str(table)}
    if is_fine:
        rank_group.check_launcher(environment)
        return
    with pytest.raises(config_file.ConfigError, match="RANK_TABLE_FILE is for 2 proc"):
        rank_group.check_launcher(environment)
