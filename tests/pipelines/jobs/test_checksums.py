import json
import subprocess

import pytest

from pipelines.jobs import checksums


@pytest.fixture
def clips(tmp_path):
    folder = tmp_path / "clips"
    for name in ("b.webm", "a/c d.webm", "a/e\nf.webm", ".hidden", ".git/config"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() * 1000)
    return folder


def write(folder, path):
    return checksums.main(["--clips", str(folder), "--output", str(path)])


def test_the_list_is_that_of_sha256sum(clips, tmp_path, capsys):
    path = tmp_path / "clips.sha256"

    assert write(clips, path) == 0

    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert answer == {"checksums": str(path), "num_files": 3}
    names = ["a/c d.webm", "a/e\nf.webm", "b.webm"]
    theirs = subprocess.run(
        ["sha256sum", *names], cwd=clips, capture_output=True, check=True
    )
    assert path.read_bytes() == theirs.stdout


def test_a_build_finds_the_clip_that_changed_since(package_copy, tmp_path, tools):
    path = tmp_path / "clips.sha256"
    assert write(package_copy.clips, path) == 0
    changed = bytearray(package_copy.clip("101").read_bytes())
    changed[-1] ^= 1
    package_copy.clip("101").write_bytes(changed)

    done = tools.run_command(
        *("build", "--clips", package_copy.clips, "--checksums", path),
        *("--annotations", package_copy.annotations, "--dataset", tmp_path / "dataset"),
    )

    assert done.returncode == 1
    assert "1 clip cannot be stored" in done.stderr
    assert "wrong_checksum" in done.stderr


def test_a_folder_without_files_is_an_error(tmp_path, caplog):
    (tmp_path / "clips").mkdir()

    assert write(tmp_path / "clips", tmp_path / "list") == 1

    assert f"{tmp_path}/clips: there are no files" in caplog.text
    assert not (tmp_path / "list").exists()
