"""The one file that may import a part of a package that its own may not import."""

from pathlib import PurePosixPath

import pytest

from tests import test_architecture as architecture


@pytest.mark.parametrize(
    ("path", "names", "forbidden"),
    [
        (
            "eval/video_files.py",
            {"pipelines", "pipelines.quarantine", "pipelines.quarantine.REASONS"},
            set(),
        ),
        ("eval/video_files.py", {"pipelines", "pipelines.jobs"}, {"pipelines"}),
        ("eval/video_files.py", {"pipelines.building.beam_runner"}, {"pipelines"}),
        ("eval/infer_files.py", {"pipelines.quarantine"}, {"pipelines"}),
        ("eval/job.py", {"train.loop"}, {"train"}),
        ("model/tsm.py", {"tests.conftest"}, {"tests"}),
    ],
)
def test_a_door_between_packages_is_for_one_file_and_few_modules(
    path, names, forbidden
):
    packages = architecture.imported_packages(PurePosixPath(path), names)
    assert packages & architecture.OUR_OWN == forbidden


def test_every_door_is_in_use_and_brings_no_beam():
    for path, modules in architecture.DOORS_BETWEEN_PACKAGES.items():
        imported = architecture.imports(PurePosixPath(path))
        assert {f"pipelines.{module}" for module in modules.split()} <= imported
        assert "apache_beam" not in architecture.loaded_by(PurePosixPath(path))
