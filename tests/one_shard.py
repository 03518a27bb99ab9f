"""One shard by its summary: a stored clip and a quarantined one, no field as usual."""

from mindrecord_io import records

SHA = "0123456789abcdef" * 4
SOURCE = records.Fingerprint(num_bytes=7, sha256=SHA)
STORED = records.ClipOutcome(
    clip_id="78687",
    label_id=19,
    source=SOURCE,
    status=records.STORED,
    height=240,
    width=427,
    facts=records.SourceFacts(
        fps_from_header=12.5,
        num_frames_from_header=4,
        duration_seconds_from_header=0.32,
        fps_from_content=12.25,
        duration_seconds_from_content=0.24,
        rotation_degrees=90,
        num_frames_lost=1,
    ),
    row=0,
    frames_offset=5_000_000_000,
    frame_sizes=(9000, 9100, 8900),
    frames_sha256=SHA[::-1],
    frame_crc32s=(7, 2**32 - 1),
)
QUARANTINED = records.ClipOutcome(
    clip_id="5",
    label_id=3,
    source=SOURCE,
    status=records.QUARANTINED,
    reason="truncated",
    detail="12 of 40 frames",
    limits='{"max_frames": 12}',
)
SUMMARY = records.ShardSummary(
    split="train",
    index=0,
    num_shards=1,
    key="a" * 32,
    frames_key="b" * 32,
    mindrecord=SOURCE,
    mindrecord_index=SOURCE,
    clips=(STORED, QUARANTINED),
)
