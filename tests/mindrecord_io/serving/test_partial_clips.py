"""A clip that lost frames and is stored all the same: what is said of it, where."""

import dataclasses

from mindrecord_io import records
from mindrecord_io.shards import shard_folders, stored_clips, writer


def stored(dataset, plan, frames):
    """Writes and publishes a shard of one clip; returns its outcome."""
    folder = dataset / "shards" / plan.split / ".incomplete-1"
    folder.mkdir(parents=True)
    shard = writer.ShardWriter(folder, plan)
    shard.append(plan.clips[0], frames)
    summary = shard.finish()
    shard_folders.publish(dataset, folder, summary)
    return summary.clips[0]


def test_a_partial_clip_is_a_row_that_says_what_it_lost(
    tmp_path, make_plan, make_jpegs
):
    frames = dataclasses.replace(
        make_jpegs("101"),
        facts=records.SourceFacts(num_frames_lost=1, rotation_degrees=90),
        damage="bits flipped",
    )

    clip = stored(tmp_path, make_plan({"101": 2}), frames)

    assert (clip.status, clip.reason) == (records.STORED, records.PARTIAL)
    assert (clip.detail, clip.facts.num_frames_lost) == ("bits flipped", 1)
    assert clip.facts.rotation_degrees == 90


def test_a_partial_clip_stays_one_when_its_frames_are_copied(
    tmp_path, make_plan, make_jpegs
):
    frames = dataclasses.replace(
        make_jpegs("101"),
        facts=records.SourceFacts(
            num_frames_lost=1,
            fps_from_content=7.5,
        ),
        damage="bits off",
    )
    plan = make_plan({"101": 2})
    stored(tmp_path, plan, frames)
    again = dataclasses.replace(plan.clips[0], stored_in=f"{plan.split}/{plan.key}")

    read = stored_clips.StoredClips(tmp_path).read(again)

    assert isinstance(read, records.ClipFrames)
    assert (read.damage, read.facts.num_frames_lost) == ("bits off", 1)
    assert read.facts.fps_from_content == 7.5
