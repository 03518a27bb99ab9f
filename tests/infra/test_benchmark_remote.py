import json

import pytest

from infra.benchmarks import remote


@pytest.mark.slow
def test_without_a_cache_a_quarter_is_fetched_and_with_one_all_once(tmp_path, capsys):
    words = "--num_clips 24 --num_shards 6 --batch_size 8 --latencies 0 --num_ranks 2"
    flags = [*words.split(), "--caches", "0", "1.2", "--workdir", str(tmp_path)]
    assert remote.main(flags) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    without, whole = result["cases"]
    assert 0.1 < without["over_frames"] <= 0.25
    assert (whole["first_over_split"], whole["over_split"]) == (1.0, 0.0)


def test_impossible_numbers_are_refused():
    with pytest.raises(ValueError, match="num_clips must be at least 1"):
        remote.Options(num_clips=0)
