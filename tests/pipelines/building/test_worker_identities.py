import pytest

from mindrecord_io.records import DecoderIdentity
from pipelines.building import receipts, worker_identities
from pipelines.planning.shard_plans import ShardFailedError

X86 = DecoderIdentity("x86_64", ("ffmpeg 9",), "aa")
ARM = DecoderIdentity("aarch64", ("ffmpeg 9",), "bb")


@pytest.fixture
def check(monkeypatch, tmp_path):
    """Checks as a new process on a machine of that name would."""

    def as_process(host, decoder):
        monkeypatch.setattr(worker_identities, "_checked", set())
        worker_identities.check(tmp_path, lambda: decoder, host=host)

    return as_process


def test_workers_that_decode_alike_work_together(check, tmp_path):
    check("one", X86)
    check("two", X86)

    assert receipts.names(tmp_path) == []  # these are no receipts of shards


def test_workers_that_decode_differently_are_refused_by_name(check):
    check("one", X86)

    with pytest.raises(ShardFailedError) as caught:
        check("two", ARM)

    assert str(caught.value) == (
        f"workers decode differently, two as {ARM.name} (aarch64; ffmpeg 9), "
        f"one as {X86.name} (x86_64; ffmpeg 9): let one kind of machine with one "
        "environment do a job"
    )


def test_a_process_is_asked_once_for_each_job(tmp_path, monkeypatch):
    monkeypatch.setattr(worker_identities, "_checked", set())
    asked = []
    for folder in (tmp_path / "a", tmp_path / "a", tmp_path / "b"):
        folder.mkdir(exist_ok=True)
        worker_identities.check(folder, lambda: asked.append(1) or X86)

    assert len(asked) == 2
