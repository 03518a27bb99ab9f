import re
import shutil

import numpy as np
import pytest

from mindrecord_io import batches, clip_index, manifest, reader, views

TRAIN = views.TrainView(num_segments=4, crop_px=16)
CENTRE = views.CentreView(num_segments=4, crop_px=16, resize_px=16)


def rows_of(dataset):
    iterator = dataset.create_tuple_iterator(num_epochs=1, output_numpy=True)
    return [tuple(row) for row in iterator]


def test_open_split_gives_the_batches_of_the_source(published_version):
    opened = reader.open_split(
        published_version.dataset, "train", TRAIN, batch_size=3, seed=4, epoch=2
    )
    index = clip_index.read_clip_index(published_version, "train")
    plan = batches.BatchPlan(3, seed=4, epoch=2)
    expected = list(batches.BatchSource(index, TRAIN, plan))
    found = rows_of(opened)
    assert len(found) == len(expected) == 3
    for row, batch in zip(found, expected, strict=True):
        for column, array in zip(row, batch, strict=True):
            np.testing.assert_array_equal(column, array)
            assert column.dtype == array.dtype


def test_columns_are_named(published_version):
    opened = reader.open_split(
        published_version.dataset, "validation", CENTRE, batch_size=4
    )
    (row,) = opened.create_dict_iterator(num_epochs=1, output_numpy=True)
    assert row["frames"].shape == (4, 4, 3, 16, 16)
    # 201 to 204, in whatever order the table has
    assert sorted(row["label"].tolist()) == [0, 0, 1, 2]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [3, 3, 1]),
        ({"drop_last": True}, [3, 3]),
        ({"begin_step": 2}, [1]),
        ({"batch_size": 7}, [7]),
        ({"batch_size": 6, "drop_last": True, "rank": 1, "num_ranks": 2}, [3]),
    ],
)
def test_size_is_the_number_of_steps(published_version, options, expected):
    options = {"batch_size": 3} | options
    opened = reader.open_split(published_version.dataset, "train", TRAIN, **options)
    assert opened.get_dataset_size() == len(expected)
    assert [len(labels) for _, labels in rows_of(opened)] == expected


def test_an_older_version_can_be_asked_for(published_version):
    opened = reader.open_split(
        str(published_version.dataset), "train", TRAIN, batch_size=7, version="000001"
    )
    assert opened.get_dataset_size() == 1


def test_errors_of_threads_reach_the_loop_with_the_clip(published_version, tmp_path):
    dataset = tmp_path / "copy"
    shutil.copytree(published_version.dataset, dataset)
    index = clip_index.read_clip_index(manifest.open_version(dataset), "validation")
    with index.shard_paths[0].open("r+b") as shard:
        shard.seek(int(index.frames_offsets[2]))
        shard.write(bytes(int(index.frame_ranges(2)[1].sum())))
    opened = reader.open_split(dataset, "validation", CENTRE, batch_size=2)
    with pytest.raises(RuntimeError, match=rf"clip {index.clip_ids[2]}, frame \d+ in "):
        rows_of(opened)


@pytest.mark.parametrize("view", ["centre", None, views.TrainView])
def test_what_is_no_view_is_refused(published_version, view):
    expected = re.escape(f"view must be a TrainView or a CentreView, got {view!r}")
    with pytest.raises(ValueError, match=expected):
        reader.open_split(published_version.dataset, "train", view, batch_size=2)


@pytest.mark.parametrize(
    ("split", "options", "expected"),
    [
        ("val", {}, "split must be one of ('train', 'validation', 'test'), got 'val'"),
        ("test", {}, "split 'test' of version 000001 has no stored clips"),
        ("train", {"version": "000007"}, "no version 000007, there are ['000001']"),
        ("train", {"begin_step": 9}, "begin_step must be in [0, 4)"),
    ],
)
def test_wrong_arguments_are_refused(published_version, split, options, expected):
    with pytest.raises(ValueError, match=re.escape(expected)):
        reader.open_split(
            published_version.dataset, split, TRAIN, batch_size=2, **options
        )


def test_a_folder_without_a_data_set_is_refused(tmp_path):
    with pytest.raises(manifest.ManifestError, match="no data set here"):
        reader.open_split(tmp_path, "train", TRAIN, batch_size=2)
