import http.server
import threading

import pytest

from mindrecord_io import records
from mindrecord_io.storage import files
from pipelines.decoding import clip_file, libav

SOURCE = "testsrc2=size=64x48:rate={}:duration=0.5"


@pytest.fixture
def drawn(tmp_path, tools):
    def draw(name, rate, *encoding):
        path = tmp_path / name
        tools.run_ffmpeg("-f", "lavfi", "-i", SOURCE.format(rate), *encoding, path)
        return path

    return draw


def header(path):
    file = clip_file.read_clip_file(path, files.fingerprint(path))
    return libav.read_header(file)


@pytest.mark.parametrize(
    ("name", "codec", "rate", "fps", "num_frames"),
    [
        ("1.webm", "libvpx-vp9", "12", 12.0, 6),
        ("1.webm", "libvpx-vp9", "30000/1001", 30000 / 1001, 15),
        ("1.mkv", "libx264", "25", 25.0, 13),
        ("1.mp4", "libx264", "12", 12.0, 6),
        ("1.mov", "mpeg4", "30000/1001", 30000 / 1001, 15),
        ("1.avi", "mpeg4", "12", 12.0, 6),
    ],
)
def test_rate_and_number_are_as_the_header_claims(
    drawn, name, codec, rate, fps, num_frames
):
    found = header(drawn(name, rate, "-c:v", codec))

    assert found.fps_from_header == pytest.approx(fps, rel=1e-6)
    assert found.num_frames_from_header == num_frames


def test_the_duration_is_that_of_the_pictures_where_it_is_known(drawn):
    webm = header(drawn("1.webm", "12", "-c:v", "libvpx-vp9"))
    mp4 = header(drawn("1.mp4", "12", "-c:v", "libx264"))

    assert webm.duration_seconds_from_header == 0.5
    assert mp4.duration_seconds_from_header == 0.5
    avi = header(drawn("1.avi", "12", "-c:v", "mpeg4"))
    assert avi.duration_seconds_from_header == 0.0  # ffmpeg reports it


def test_a_header_without_rate_claims_none(drawn):
    path = drawn("1.webm", "12", "-c:v", "libvpx-vp9")
    content = path.read_bytes()
    begin = content.index(b"\x23\xe3\x83\x84")  # DefaultDuration, of 4 bytes
    path.write_bytes(content[:begin] + b"\xec\x86" + bytes(6) + content[begin + 8 :])

    assert header(path) == records.SourceFacts(duration_seconds_from_header=0.5)


@pytest.mark.parametrize("share", [0.02, 0.5])
def test_what_cannot_be_opened_claims_nothing(drawn, share):
    path = drawn("1.mp4", "12", "-c:v", "libx264")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])

    assert header(path) == records.SourceFacts()


def test_sound_alone_claims_nothing(tmp_path, tools):
    path = tmp_path / "1.mp4"
    tools.run_ffmpeg("-f", "lavfi", "-i", "sine=duration=0.5", path)

    assert header(path) == records.SourceFacts()


def test_names_that_are_no_text_are_no_error(drawn):
    path = drawn("1.mp4", "12", "-c:v", "libx264")
    path.write_bytes(path.read_bytes().replace(b"VideoHandler", b"Video\xbe\xfendler"))

    assert header(path).num_frames_from_header == 6


def test_a_reference_to_elsewhere_is_not_followed(drawn):
    requests = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append(self.path)

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    path = drawn("1.mp4", "12", "-c:v", "libx264")
    # The address of the pictures: not this file any more (flag 1), but another place.
    location = f"http://127.0.0.1:{server.server_port}/".encode()
    content = path.read_bytes()
    begin = content.index(b"url \x00\x00\x00\x01")
    path.write_bytes(
        content[: begin + 7]
        + b"\x00"
        + location.ljust(32, b"\0")
        + content[begin + 8 :]
    )

    header(path)

    server.shutdown()
    server.server_close()
    assert requests == []
