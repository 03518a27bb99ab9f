import pytest

from tests.decoded import LEVELS


@pytest.fixture(scope="session")
def grey(tmp_path_factory, tools):
    """Six flat frames of 64x48; frame k has the grey level LEVELS[k]."""
    path = tmp_path_factory.mktemp("grey") / "7.webm"
    tools.write_grey_clip(path, LEVELS)
    return path


@pytest.fixture(scope="session")
def textured(tmp_path_factory, tools):
    """Frames of 96x64 that cost JPEG something."""
    path = tmp_path_factory.mktemp("textured") / "8.webm"
    source = "testsrc2=size=96x64:rate=12:duration=0.25"
    tools.run_ffmpeg("-f", "lavfi", "-i", source, "-c:v", "libvpx-vp9", path)
    return path
