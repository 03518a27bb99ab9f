import hashlib
import subprocess

import pytest

from mindrecord_io.versions import opening
from pipelines.planning import checksums, clip_references
from tests import listings

A, B, C = ("a" * 64, "b" * 64, "c" * 64)


def listing_of(*uris):
    return listings.listing(
        clip_references.Reference(number, str(number), "train", 0, uri)
        for number, uri in enumerate(uris, 1)
    )


def listed(tmp_path, text, *uris):
    """The checksums that a file of this text gives the clips."""
    path = tmp_path / "sums"
    path.write_text(text)
    checked = listings.clips_of(checksums.with_checksums(listing_of(*uris), path))
    assert [r.uri for r in checked] == list(uris)
    return [r.expected_sha256 for r in checked]


@pytest.mark.parametrize(
    "line",
    [
        f"{A}  1.webm",
        f"{A} *1.webm",
        f"{A}  ./1.webm",
        f"{A}  clips/1.webm",
        f"{A}  /clips/1.webm",
        f"{A}  /elsewhere/data/clips/1.webm\n{B}  2.webm",
        f"{A.upper()}  1.webm",
        f"# comment\n\n{A}  1.webm\n",
        f"{A}  1.webm\r\n{B}  2.webm\r\n",
        f"{A}  1.webm\n{A}  1.webm",
        f"\ufeff{A}  1.webm",
    ],
)
def test_a_clip_has_the_checksum_listed_of_its_name(tmp_path, line):
    assert listed(tmp_path, line, "/clips/1.webm") == [A]


def test_folders_tell_clips_of_one_name_apart(tmp_path):
    text = f"{A}  one/1.webm\n{B}  two/1.webm\n"

    assert listed(tmp_path, text, "/d/one/1.webm", "/d/two/1.webm") == [A, B]


def test_the_longest_fitting_name_counts(tmp_path):
    text = f"{A}  1.webm\n{B}  two/1.webm\n"

    assert listed(tmp_path, text, "/d/two/1.webm", "/d/one/1.webm") == [B, A]


def test_names_of_spaces_and_escapes_are_read(tmp_path):
    text = f"{A}  my clip.webm\n\\{B}  a\\\\b\\nc.webm\n"

    assert listed(tmp_path, text, "/d/my clip.webm") == [A]
    assert listed(tmp_path, (tmp_path / "sums").read_text(), "/d/a\\b\nc.webm") == [B]


def test_clips_without_a_checksum_are_logged_and_unchecked(tmp_path, caplog):
    found = listed(tmp_path, f"{A}  1.webm", "/d/1.webm", "/d/2.webm")

    assert found == [A, ""]
    assert "no checksum of 1 of 2 clips; the first: /d/2.webm" in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lists no checksums"),
        ("# only a comment\n", "lists no checksums"),
        (f"{A}  1.webm\n{A[:63]}  2.webm\n", "line 2 is not 64 hexadecimal digits"),
        (f"{A} 1.webm", "line 1 is not"),
        (f"{A}\t1.webm", "line 1 is not"),
        (f"{A}  ", "line 1 is not"),
        (f"{A}  /", "line 1 names no file: '/'"),
        ("SHA256 (1.webm) = " + A, r"line 1 is not .*: 'SHA256 \(1"),
        (f"{'g' * 64}  1.webm", "line 1 is not"),
        (
            f"{A}  1.webm\n\n{B}  ./1.webm\n",
            f"lines 1 and 3 give two checksums of 1.webm: {A} and {B}",
        ),
        (f"{A}  x/1.webm\n{B}  y/1.webm", "no line is of any of the 1 clips"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path, text, message):
    with pytest.raises(checksums.ChecksumError, match=f"/sums: {message}"):
        listed(tmp_path, text, "/d/1.webm")


def test_two_lines_that_may_mean_one_clip_are_refused(tmp_path):
    text = f"{A}  x/d/1.webm\n{B}  y/d/1.webm\n"

    with pytest.raises(
        checksums.ChecksumError, match=r"lines 1 and 2 may both mean d/1\.webm"
    ):
        listed(tmp_path, text, "d/1.webm")


@pytest.mark.parametrize(
    ("text", "uri", "expected"),
    [
        (f"{A}  x/1.webm\n{A}  y/1.webm\n", "1.webm", A),
        (f"{A}  1.webm\n{B}  x/d/1.webm\n", "d/1.webm", B),
        (f"{B}  x/d/1.webm\n{A}  d/1.webm\n{A}  1.webm\n", "d/1.webm", B),
        (f"{A}  x/1.webm\n{B}  y/1.webm\n{C}  z/x/1.webm\n", "1.webm", C),
        (f"{C}  z/x/1.webm\n{A}  x/1.webm\n{B}  y/1.webm\n", "1.webm", C),
        (f"{A}  y/d/1.webm\n{B}  d/2.webm\n", "d/2.webm", B),
    ],
)
def test_the_line_with_most_folders_counts_in_any_order(tmp_path, text, uri, expected):
    assert listed(tmp_path, text, uri) == [expected]


def test_of_lines_that_may_mean_one_clip_two_that_disagree_are_named(tmp_path):
    text = f"{A}  x/1.webm\n{A}  y/1.webm\n{B}  z/1.webm\n{C}  w/1.webm\n"

    with pytest.raises(checksums.ChecksumError, match="lines 1 and 3 may both mean"):
        listed(tmp_path, text, "1.webm")


def test_many_clips_of_one_name_find_their_lines(tmp_path):
    hashes = [hashlib.sha256(b"%d" % n).hexdigest() for n in range(20_000)]
    text = "\n".join(f"{h}  {n}/clip.webm" for n, h in enumerate(hashes))
    uris = [f"/d/{n}/clip.webm" for n in range(20_000)]

    assert listed(tmp_path, text, *uris) == hashes


def test_a_file_that_is_missing_or_no_text_is_refused(tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff\xfe")

    with pytest.raises(checksums.ChecksumError, match="/none: cannot read: No such"):
        checksums.with_checksums(listing_of("/1.webm"), tmp_path / "none")
    with pytest.raises(checksums.ChecksumError, match=r"not UTF-8 text: .* at byte 0"):
        checksums.with_checksums(listing_of("/1.webm"), tmp_path / "binary")


@pytest.mark.parametrize("mode", ["--text", "--binary"])
def test_what_sha256sum_writes_is_read(tmp_path, mode):
    clip = tmp_path / "1.webm"
    clip.write_bytes(b"content")
    done = subprocess.run(
        ["sha256sum", mode, clip], capture_output=True, text=True, check=True
    )

    (found,) = listed(tmp_path, done.stdout, str(clip))

    assert found == hashlib.sha256(b"content").hexdigest()


@pytest.mark.slow
def test_a_build_quarantines_what_the_list_contradicts_and_nothing_else(
    package_copy, tools, tmp_path
):
    sums = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in package_copy.clips.iterdir()
    }
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_text("".join(f"{h}  clips/{name}\n" for name, h in sums.items()))
    wrong.write_text(right.read_text().replace(sums["102.webm"], C))
    words = (
        *("build", "--clips", package_copy.clips, "--num_shards", 3, "--page_mib", 1),
        *("--annotations", package_copy.annotations, "--dataset", tmp_path / "dataset"),
        *("--max_quarantined", 1, "--checksums"),
    )

    def reasons():
        rows = opening.open_version(tmp_path / "dataset").read_clips().to_pylist()
        return {r["clip_id"]: (r["reason"], r["detail"]) for r in rows if r["reason"]}

    for _ in range(2):  # the second time finds the first one's shards
        done = tools.run_command(*words, wrong)
        assert done.returncode == 0, done.stderr
        assert reasons() == {
            "102": (
                "wrong_checksum",
                f"{package_copy.clip('102')} has SHA-256 {sums['102.webm']}, its "
                f"checksum is {C}",
            )
        }
    assert tools.run_command(*words, right).returncode == 0
    assert reasons() == {}
    assert tools.run_command(*words, wrong).returncode == 0
    assert list(reasons()) == ["102"]
    refused = tools.run_command(*words, tmp_path / "none")
    assert refused.returncode == 1
    assert "build failed: " in refused.stderr
