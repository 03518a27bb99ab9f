"""The slowest operators, from the file that each device's profiler writes."""

import pytest

from train import profile

FILES = {
    "CPU": (
        "cpu_op_type_info_0.csv",
        "op_type,type_occurrences,total_compute_time\nConv2D,3,6.0\nAdd,1,2.0\n",
    ),
    "Ascend": (
        "op_statistic_0.csv",
        "Device_id,OP Type,Core Type,Count,Total Time(us)\n"
        "0,Conv2D,AI_CORE,2,4.0\n0,Add,AI_VECTOR,1,2.0\n0,Conv2D,MIX,1,2.0\n",
    ),
}


@pytest.mark.parametrize("device_target", FILES)
def test_operators_are_sorted_by_their_time(tmp_path, device_target):
    (tmp_path / "deep").mkdir()
    for name, text in FILES.values():  # another device's file is not read
        (tmp_path / "deep" / name).write_text(text)
    lines = profile.slowest_operators(tmp_path, device_target)
    assert lines == [" 75.0%  Conv2D", " 25.0%  Add"]
