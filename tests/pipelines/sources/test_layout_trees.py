"""A tree of every layout that the documentation names, against a table by hand."""

import pytest

from pipelines.planning import matching
from tests import annotation_trees as trees
from tests import listings
from tests.annotation_files import read

ARCHERY = ("v_Archery_g08_c01", "v_Archery_g01_c01")

# What is made, which of it are annotations, flags; then the classes, and each clip's
# id, split, label_id and file.
TABLE = {
    "UCF101": (
        *(trees.ucf101, "ann", {}, ("Archery", "Biking")),
        [
            ("v_Biking_g08_c01", "train", 1, "Biking/v_Biking_g08_c01.avi"),
            (ARCHERY[0], "train", 0, f"Archery/{ARCHERY[0]}.avi"),
            (ARCHERY[1], "validation", 0, f"Archery/{ARCHERY[1]}.avi"),
        ],
    ),
    "UCF101, second fold": (
        *(trees.ucf101, "ann", {"fold": 2}, ("Archery", "Biking")),
        [
            (ARCHERY[1], "train", 0, f"Archery/{ARCHERY[1]}.avi"),
            ("v_Biking_g08_c01", "validation", 1, "Biking/v_Biking_g08_c01.avi"),
        ],
    ),
    "HMDB51": (
        *(trees.hmdb51, "ann", {}, ("brush_hair", "wave")),
        [
            ("b1", "train", 0, "brush_hair/b1.avi"),
            ("w1", "train", 1, "wave/w1.avi"),
            ("w2", "validation", 1, "wave/w2.avi"),
        ],
    ),
    "Kinetics": (
        *(trees.kinetics, "ann", {}, ("abseiling",)),
        [
            ("_-0Bn_000004_000014", "train", 0, "train/-0Bn_000004_000014.mp4"),
            (
                *("xy_1_000010_000020", "validation", 0),
                "val/abseiling/xy_1_000010_000020.mkv",
            ),
            ("zz_000000_000010", "test", -1, "test/zz_000000_000010.mp4"),
        ],
    ),
    "Diving48": (
        *(trees.diving48, "ann", {}),
        ("Back 15som 05Twis FREE", "Back 15som 15Twis FREE"),
        [
            ("a_00001", "train", 1, "rgb/a_00001.mp4"),
            ("b_00002", "validation", 0, "rgb/b_00002.mp4"),
        ],
    ),
    "Diving48 as CSV": (
        *(trees.diving48_csv, "ann", {}, ("0", "1")),
        [
            ("a_00001", "train", 1, "a_00001.mp4"),
            ("b_00002", "validation", 0, "b_00002.mp4"),
        ],
    ),
    "TSM": (
        *(trees.tsm, "ann", {}, ("jump", "run")),
        [
            ("a", "train", 1, "run/a"),
            ("b_c", "train", 0, "jump/b c"),
            ("d", "validation", 1, "run/d"),
        ],
    ),
    "the label files of a version": (
        *(trees.own_labels, "ann", {}, ("jump", "run", "rest")),
        [
            ("101", "train", 0, "101.webm"),
            ("102", "train", 2, "more/102.mp4"),
            ("201", "validation", 2, "201.webm"),
            ("301", "test", -1, "301.webm"),
        ],
    ),
    "mmaction2": (
        *(trees.mmaction2, "ann", {}, ("jump", "run")),
        [
            ("a", "train", 1, "videos_train/run/a.mp4"),
            ("b", "train", 0, "videos_train/jump/b.mp4"),
            ("c", "validation", 1, "videos_val/run/c.mp4"),
        ],
    ),
    "PySlowFast": (
        *(trees.pyslowfast, "ann", {}, ("0", "1", "2")),
        [
            ("a", "train", 0, "a.mp4"),
            ("b", "train", 2, "x/b.mp4"),
            ("c", "validation", 2, "c.mp4"),
            ("d", "test", -1, "d.mp4"),
        ],
    ),
    "other columns, UTF-16": (
        *(trees.renamed_columns, "ann/list.TSV"),
        {"columns": {"path": "video", "label": "class", "split": "subset"}},
        ("jump", "run"),
        [("a_b", "train", 1, "a b.mp4"), ("c", "validation", 0, "c.mp4")],
    ),
    "tables of ids": (
        *(trees.table_of_ids, "ann", {}, ("run",)),
        [("a", "train", 0, "deep/a.mp4"), ("b", "validation", 0, "b.webm")],
    ),
    "folders of classes and a list": (
        *(
            trees.split_list,
            "clips",
            {"split_by": "{}/ann/splits.txt"},
            ("jump", "run"),
        ),
        [
            ("b", "train", 0, "jump/b.mp4"),
            ("a", "train", 1, "run/a.mp4"),
            ("c", "validation", 0, "jump/c.mp4"),
        ],
    ),
}


@pytest.mark.parametrize("layout", TABLE)
def test_a_layout_has_these_classes_numbers_splits_and_files(tmp_path, layout):
    make, where, flags, names, clips = TABLE[layout]
    make(tmp_path)
    if "split_by" in flags:
        flags = flags | {"split_by": flags["split_by"].format(tmp_path)}

    annotations = read(tmp_path / where, clips=tmp_path / "clips", **flags)
    listing = matching.match_clips(annotations, tmp_path / "clips")

    assert annotations.label_map.names == names
    assert [(c.clip_id, c.split, c.label_id) for c in annotations.clips] == [
        clip[:3] for clip in clips
    ]
    assert {c.clip_id: c.uri for c in listings.clips_of(listing)} == {
        clip_id: f"{tmp_path}/clips/{path}" for clip_id, _, _, path in clips
    }
    assert len(listing.missing) == 0
