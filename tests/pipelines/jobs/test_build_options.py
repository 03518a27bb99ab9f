from pathlib import Path

import pytest

from mindrecord_io import records
from pipelines import quarantine
from pipelines.jobs import build, build_options

REQUIRED = ("--clips", "c", "--annotations", "a", "--dataset", "d")


def parse(*flags):
    return build.parse([*REQUIRED, *flags])


def refusal(capsys, *argv):
    """Parses what must not be accepted; returns the last line of the complaint."""
    with pytest.raises(SystemExit) as caught:
        build.parse(list(argv))
    assert caught.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.strip().splitlines()[-1]


def test_the_three_folders_are_all_that_is_needed():
    asked = parse()

    assert asked == build_options.BuildOptions(
        Path("c"), Path("a"), Path("d"), num_workers=None
    )
    assert asked.settings == records.DecodeSettings()
    assert asked.clip_limits == quarantine.DecodeLimits()
    assert asked.num_shards is None
    assert asked.max_quarantined == 0
    assert asked.beam_flags == ()


def test_every_flag_reaches_its_place():
    asked = parse(
        *("--short_side", "128", "--jpeg_quality", "75", "--page_mib", "2"),
        *("--accept_partial", "0.25", "--checksums", "/sums"),
        *("--num_shards", "9", "--max_quarantined", "3", "--num_workers", "5"),
        *("--max_clip_seconds", "7", "--max_clip_frames", "300"),
        *("--max_clip_pixels", "90000"),
        *("--max_decoder_mib", "512"),
    )

    assert asked.checksums == Path("/sums")
    assert asked.settings == records.DecodeSettings(128, 75, 2 << 20, 0.25)
    assert asked.clip_limits == quarantine.DecodeLimits(
        max_seconds=7, max_frames=300, max_pixels=90_000, max_memory_mib=512
    )
    assert (asked.num_shards, asked.max_quarantined, asked.num_workers) == (9, 3, 5)


@pytest.mark.parametrize("missing", ["--clips", "--annotations", "--dataset"])
def test_each_folder_is_required(capsys, missing):
    at = REQUIRED.index(missing)

    complaint = refusal(capsys, *REQUIRED[:at], *REQUIRED[at + 2 :])

    assert complaint.endswith(f"error: the following arguments are required: {missing}")


def test_flags_of_beam_pass_through_unchanged():
    beam_flags = ("--runner=FlinkRunner", "--job_name", "nightly", "--parallelism=4")

    asked = parse(*beam_flags[:1], "--num_shards=4", *beam_flags[1:])

    assert asked.beam_flags == beam_flags
    assert asked.num_shards == 4


@pytest.mark.parametrize(
    ("flag", "nearest"),
    [
        ("--max_quarantine=3", "--max_quarantined"),
        ("--num_shard", "--num_shards"),
        ("--shortside=128", "--short_side"),
        ("--anotations", "--annotations"),
        ("--streamin", "--streaming"),  # of Beam
    ],
)
def test_unknown_flags_are_refused_with_the_nearest(capsys, flag, nearest):
    complaint = refusal(capsys, *REQUIRED, flag)

    name = flag.split("=")[0]
    assert f"no flag '{name}' here or in Beam; nearest: {nearest}" in complaint


def test_flags_like_nothing_are_refused_too(capsys):
    assert refusal(capsys, *REQUIRED, "--xyzzy=1").endswith(
        "error: no flag '--xyzzy' here or in Beam; nearest: none"
    )


def test_words_that_are_no_flags_are_refused(capsys):
    assert "no flag 'again' here or in Beam" in refusal(capsys, *REQUIRED, "again")


def test_flags_are_not_abbreviated(capsys):
    assert "no flag '--num_shar'" in refusal(capsys, *REQUIRED, "--num_shar=3")


def whole(flag, minimum, value):
    """The complaint about a flag that is no number, or too small, in every job."""
    limit = f"must be a whole number of at least {minimum}, got {value!r}"
    return f"argument --{flag}: {limit}"


@pytest.mark.parametrize(
    ("flag", "complaint"),
    [
        ("--num_shards=0", whole("num_shards", 1, "0")),
        ("--num_shards=many", whole("num_shards", 1, "many")),
        ("--max_quarantined=-1", whole("max_quarantined", 0, "-1")),
        ("--num_workers=0", whole("num_workers", 1, "0")),
        ("--num_workers=two", whole("num_workers", 1, "two")),
        ("--short_side=15", "short_side_px must be 0 or at least 16: 15"),
        ("--short_side=-1", whole("short_side", 0, "-1")),
        ("--jpeg_quality=0", whole("jpeg_quality", 1, "0")),
        ("--jpeg_quality=101", "jpeg_quality must be in [1, 100]: 101"),
        ("--accept_partial=1", "accept_partial must be in [0, 1): 1.0"),
        ("--page_mib=0", whole("page_mib", 1, "0")),
        ("--page_mib=-1", whole("page_mib", 1, "-1")),
        ("--page_mib=257", "page_num_bytes must be in [32 KiB, 256 MiB]: 269484032"),
        ("--max_clip_seconds=0", whole("max_clip_seconds", 1, "0")),
        ("--max_clip_frames=0", whole("max_clip_frames", 1, "0")),
        ("--max_decoder_mib=0", whole("max_decoder_mib", 1, "0")),
    ],
)
def test_values_out_of_range_are_refused(capsys, flag, complaint):
    assert refusal(capsys, *REQUIRED, flag).endswith(f"error: {complaint}")


def test_help_shows_every_flag_with_its_default(capsys):
    with pytest.raises(SystemExit) as caught:
        build.parse(["--help"])

    told = " ".join(capsys.readouterr().out.split())
    assert caught.value.code == 0
    for flag, default in (
        ("--short_side PX", 0),
        ("--jpeg_quality Q", 90),
        ("--page_mib MIB", 8),
        ("--accept_partial SHARE", 0.0),
        ("--max_quarantined N", 0),
        ("--max_clip_seconds S", 60),
        ("--max_clip_frames N", 5000),
        ("--max_decoder_mib MIB", 2048),
    ):
        described = told.split(f" {flag} ")[-1].split(" --")[0]
        described = described.removesuffix(" example: clipmill build")
        assert described.endswith(f"(default: {default})"), flag
    assert "on each machine; by default one to every core of it" in told
    assert "Flags not listed here go to Apache Beam." in told


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"num_shards": 0}, "num_shards must be at least 1: 0"),
        ({"max_quarantined": -2}, "max_quarantined cannot be -2"),
        ({"num_workers": 0}, "num_workers must be at least 1: 0"),
    ],
)
def test_build_options_reject_nonsense(changed, complaint):
    with pytest.raises(ValueError, match=complaint):
        build_options.BuildOptions(Path("c"), Path("a"), Path("d"), **changed)
