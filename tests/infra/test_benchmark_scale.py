import pytest

from infra.benchmarks import scale


def test_the_ratio_is_the_median_of_the_rounds_own():
    assert scale.summarise({1: [10.0, 20.0, 10.0], 2: [18.0, 40.0, 19.0]}) == {
        "clips_per_second": {"1": 10.0, "2": 19.0},
        "ratio": 1.9,
    }


def test_a_build_that_fails_is_told_by_the_end_of_its_log(tmp_path):
    with pytest.raises(RuntimeError, match="pipelines build failed:") as caught:
        scale._build([], tmp_path / "nothing", tmp_path / "dataset")
    assert "build failed: " in str(caught.value)
