import dataclasses
import re
import shutil

import numpy as np
import pytest

from mindrecord_io.serving import (
    batches,
    clip_decoders,
    clip_index,
    clip_sampling,
    reader,
    reader_state,
    views,
)
from mindrecord_io.serving.batches import BatchPlan
from mindrecord_io.versions import manifests, opening

TRAIN = views.TrainView(num_segments=4, crop_px=16)
CENTRE = views.CentreView(num_segments=4, crop_px=16, resize_px=16)


def rows_of(reader):
    return list(reader)


def test_open_split_gives_the_batches_of_the_source(published_version):
    opened = reader.open_split(
        published_version.dataset, "train", TRAIN, BatchPlan(3, seed=4, epoch=2)
    )
    index = clip_index.read_clip_index(published_version, "train")
    plan = BatchPlan(3, seed=4, epoch=2)
    decoders = clip_decoders.ClipDecoders(index, TRAIN, seed=4)
    expected = list(batches.BatchSource(index, TRAIN, plan, decoders=decoders))
    actual = rows_of(opened)
    assert len(actual) == len(expected) == 3
    for row, batch in zip(actual, expected, strict=True):
        for column, array in zip(row, batch, strict=True):
            np.testing.assert_array_equal(column, array)
            assert column.dtype == array.dtype


def test_columns_are_named(published_version):
    opened = reader.open_split(
        published_version.dataset, "validation", CENTRE, BatchPlan(4)
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
    plan = BatchPlan(**{"batch_size": 3} | options)
    opened = reader.open_split(published_version.dataset, "train", TRAIN, plan)
    assert opened.get_dataset_size() == len(expected)
    assert [len(labels) for _, labels in opened] == expected


def test_an_older_version_can_be_asked_for(published_version):
    opened = reader.open_split(
        str(published_version.dataset), "train", TRAIN, BatchPlan(7), version="000001"
    )
    assert opened.get_dataset_size() == 1


def test_another_version_than_the_open_one_is_refused(published_version):
    expected = "version must be 000001, which is open, got '000002'"
    with pytest.raises(ValueError, match=expected):
        reader.open_split(
            published_version, "train", TRAIN, BatchPlan(7), version="000002"
        )


def test_errors_of_decoders_reach_the_loop_with_the_clip(published_version, tmp_path):
    dataset = tmp_path / "copy"
    shutil.copytree(published_version.dataset, dataset)
    index = clip_index.read_clip_index(opening.open_version(dataset), "validation")
    with index.shard_paths[0].open("r+b") as shard:
        shard.seek(int(index.frames_offsets[2]))
        shard.write(bytes(sum(index.frame_ranges(2)[1])))
    opened = reader.open_split(dataset, "validation", CENTRE, BatchPlan(2))
    with pytest.raises(RuntimeError, match=rf"clip {index.clip_ids[2]}, frame \d+ in "):
        rows_of(opened)


@pytest.mark.parametrize("text", ["~/{}", "file://{home}/{}"])
def test_a_data_set_may_be_named_from_the_home_folder_or_as_a_file_uri(
    published_version, monkeypatch, text
):
    home, name = published_version.dataset.parent, published_version.dataset.name
    monkeypatch.setenv("HOME", str(home))
    dataset = text.format(name, home=home)
    opened = reader.open_split(dataset, "validation", CENTRE, BatchPlan(2))
    assert len(opened.index) == 4


@pytest.mark.parametrize("view", ["centre", None, views.TrainView])
def test_what_is_no_view_is_refused(published_version, view):
    expected = "view must be a frozen dataclass with .*, such as TrainView"
    with pytest.raises(ValueError, match=expected):
        reader.open_split(published_version.dataset, "train", view, BatchPlan(2))


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
    version, plan = (
        options.get("version"),
        BatchPlan(2, begin_step=options.get("begin_step", 0)),
    )
    dataset = published_version.dataset
    with pytest.raises(ValueError, match=re.escape(expected)):
        reader.open_split(dataset, split, TRAIN, plan, version=version)


def test_a_folder_without_a_data_set_is_refused(tmp_path):
    with pytest.raises(manifests.ManifestError, match="no data set here"):
        reader.open_split(tmp_path, "train", TRAIN, BatchPlan(2))


def test_a_reader_goes_on_to_the_next_epoch(published_version):
    plan = BatchPlan(3, seed=4)
    opened = reader.open_split(published_version.dataset, "train", TRAIN, plan)
    places = []
    for _ in range(2):
        for _ in opened:
            places.append((opened.epoch, opened.step, len(opened)))
    assert places == [(0, 1, 2), (0, 2, 1), (1, 0, 3), (1, 1, 2), (1, 2, 1), (2, 0, 3)]


def test_pixels_are_the_same_before_and_after_a_resume(published_version):
    def open_split(rank, num_ranks, **options):
        plan = BatchPlan(4, seed=2, rank=rank, num_ranks=num_ranks)
        return reader.open_split(
            published_version.dataset, "train", TRAIN, plan, **options
        )

    whole = open_split(0, 1)
    first = next(iter(whole))
    state = whole.state()
    assert (state.epoch, state.step) == (0, 1)
    rest = rows_of(whole)
    parts = [rows_of(open_split(rank, 2, state=state)) for rank in range(2)]
    assert len(rest) == 1
    for column in range(2):
        joined = np.concatenate([part[0][column] for part in parts])
        np.testing.assert_array_equal(joined, rest[0][column])
    assert not np.array_equal(first[0][:3], rest[0][0])


def test_a_state_is_continued_only_with_the_same_arguments(published_version):
    def open_split(view=TRAIN, state=None, clip_ids=None, **plan):
        plan = BatchPlan(**{"batch_size": 3, "seed": 1} | plan)
        return reader.open_split(
            published_version, "train", view, plan, state=state, clip_ids=clip_ids
        )

    state = open_split().state()
    assert open_split(state=state).state() == state
    other = views.TrainView(num_segments=5, crop_px=16)
    for change, expected in (
        ({"batch_size": 2}, "batch_size (over all ranks) is 2 here, 3 in the state"),
        ({"seed": 2}, "seed is 2 here, 1 in the state"),
        ({"clip_ids": ["101", "102", "103"]}, "the digest of the clips, their labels"),
        ({"view": other}, "the digest of the view and the sampling"),
        ({"sampling": clip_sampling.ClassBalanced()}, "of the view and the sampling"),
    ):
        with pytest.raises(reader_state.StateError, match=re.escape(expected)):
            open_split(state=state, **change)


def test_some_clips_can_be_asked_for(published_version):
    opened = reader.open_split(
        published_version.dataset,
        "train",
        CENTRE,
        BatchPlan(2),
        clip_ids=["103", "101", "108"],
    )
    assert sorted(opened.index.clip_ids) == ["101", "103", "108"]
    labels = np.concatenate([label for _, label in opened])
    assert labels.tolist() == [int(name) % 3 for name in opened.index.clip_ids]


def test_sampling_is_for_views_that_draw(published_version):
    plan = BatchPlan(2, sampling=clip_sampling.EachOnce())
    expected = "sampling is for a random view such as TrainView: CentreView sees each"
    with pytest.raises(ValueError, match=expected):
        reader.open_split(published_version, "train", CENTRE, plan)


def test_tensors_share_the_memory_of_the_arrays(published_version):
    opened = reader.open_split(published_version.dataset, "train", TRAIN, BatchPlan(7))
    (tensors,) = opened.create_dict_iterator(num_epochs=1)
    (arrays,) = reader.open_split(
        published_version.dataset, "train", TRAIN, BatchPlan(7)
    ).create_dict_iterator(output_numpy=True)
    assert list(tensors) == list(arrays) == list(reader.COLUMNS)
    for name, tensor in tensors.items():
        assert type(tensor).__name__ == "Tensor"
        np.testing.assert_array_equal(tensor.asnumpy(), arrays[name])


def test_one_loop_is_one_epoch(published_version):
    opened = reader.open_split(published_version.dataset, "train", TRAIN, BatchPlan(7))
    with pytest.raises(ValueError, match="num_epochs must be 1"):
        next(opened.create_dict_iterator(num_epochs=2))


@dataclasses.dataclass(frozen=True)
class LastFramesView:
    """A view that the package does not have: a clip's last frames, in random order."""

    num_segments: int = 2
    crop_px: int = 16
    is_random: bool = True
    num_views: int = 1

    def decide(self, num_frames, *, height, width, label_id, rng):
        last = [num_frames - 1, num_frames - 2]
        crop = views.CropDecision(0, 0, height, height)
        return views.ViewDecision(tuple(last[:: rng.below(2) or -1]), (crop,), label_id)


def test_a_view_of_ones_own_is_one_class(published_version):
    def open_split(plan, **options):
        return reader.open_split(
            published_version, "train", LastFramesView(), plan, **options
        )

    opened = open_split(BatchPlan(3, seed=1))
    num_frames = dict(
        zip(opened.index.clip_ids, np.diff(opened.index.frame_begins), strict=True)
    )
    (frames, _, clip_ids) = next(opened.with_clip_ids())
    assert frames.shape == (3, 2, 3, 16, 16)
    # The blue of frame i is 20 * i.
    indices = np.sort(np.round(frames[:, :, 2].mean(axis=(2, 3)) / 20), axis=1)
    assert indices.tolist() == [
        [num_frames[c] - 2, num_frames[c] - 1] for c in clip_ids
    ]
    rest, again = rows_of(opened), open_split(BatchPlan(3, seed=1))
    next(iter(again))
    resumed = rows_of(open_split(BatchPlan(3, seed=1), state=again.state()))
    for batch, other in zip(rest, resumed, strict=True):
        np.testing.assert_array_equal(batch[0], other[0])


@pytest.mark.parametrize("view", [TRAIN, CENTRE])
def test_batches_come_with_the_ids_of_their_clips(published_version, view):
    opened = reader.open_split(published_version, "train", view, BatchPlan(3, seed=1))
    next(iter(opened))
    state = opened.state()
    batches_left = list(opened.with_clip_ids())
    assert (opened.epoch, opened.step) == (1, 0)
    opened.resume(state)
    labels = dict(
        zip(opened.index.clip_ids, opened.index.label_ids.tolist(), strict=True)
    )
    for (frames, label, clip_ids), batch in zip(batches_left, opened, strict=True):
        np.testing.assert_array_equal(frames, batch[0])
        assert label.tolist() == [labels[clip_id] for clip_id in clip_ids]
    assert [len(clip_ids) for _, _, clip_ids in batches_left] == [3, 1]
    opened.resume(state)
    expected = [opened.index.clip_ids[row] for row in opened.rows().tolist()]
    assert [c for *_, clip_ids in batches_left for c in clip_ids] == expected
