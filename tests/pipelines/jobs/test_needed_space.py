import logging
import shutil

import cv2
import numpy as np
import pytest

from mindrecord_io.records import DecodeSettings
from pipelines.jobs import needed_space
from pipelines.planning.clip_listing import ClipListing
from pipelines.publishing import data_sets

PLAIN = DecodeSettings()


@pytest.mark.parametrize(
    ("free", "settings", "level", "text"),
    [
        (12_000, PLAIN, "INFO", "need about 12.0 kB; 12.0 kB are free in {folder}"),
        (
            *(11_999, PLAIN, "WARNING"),
            "need about 12.0 kB; 12.0 kB are free in {folder}: make room, or reduce "
            "frames by --short_side",
        ),
        (
            *(8_000, DecodeSettings(jpeg_quality=75), "INFO"),
            "need about 7.3 kB; 8.0 kB are free in {folder}",
        ),
        (
            *(8_000, DecodeSettings(short_side_px=100), "WARNING"),
            "need about 12.0 kB, less where frames are reduced to 100 pixels; 8.0 kB "
            "are free in {folder}: make room",
        ),
    ],
)
def test_the_room_needed_and_the_room_there_are_logged(
    tmp_path, monkeypatch, caplog, free, settings, level, text
):
    usage = shutil.disk_usage(tmp_path)._replace(free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    listing = ClipListing(num_source_bytes=1000)
    caplog.set_level(logging.INFO)

    with data_sets.opened(tmp_path / "not/yet") as data_set:
        needed_space.log_needed_space(listing, settings, data_set)

    (record,) = caplog.records
    assert record.levelname == level
    assert record.getMessage() == f"shards of 1.0 kB of clips {text}".format(
        folder=tmp_path
    )


def test_the_room_needed_in_a_store_is_logged_without_what_is_free(bucket, caplog):
    caplog.set_level(logging.INFO)
    with data_sets.opened("s3://bucket/new") as data_set:
        needed_space.log_needed_space(
            ClipListing(num_source_bytes=1000, num_folders=3), PLAIN, data_set
        )
    assert caplog.records[-1].getMessage() == (
        "shards of 1.0 kB of clips need about 12.0 kB, and 3 folders of frames as much "
        "as they have, in s3://bucket/new"
    )


def test_sizes_grow_with_the_quality_as_those_of_a_picture_do():
    rng = np.random.default_rng(3)
    noise = rng.integers(0, 255, (15, 27, 3), np.uint8)
    picture = cv2.resize(noise, (427, 240), interpolation=cv2.INTER_CUBIC)

    def encoded(quality):
        return len(
            cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        )

    for quality in (50, 75, 95):
        expected = encoded(quality) / encoded(90)
        estimate = needed_space.num_shard_bytes(10_000, quality) / 120_000
        assert estimate == pytest.approx(expected, rel=0.35), quality
