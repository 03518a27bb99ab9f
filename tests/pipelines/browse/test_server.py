import html
import http.client
import json
from urllib.parse import urlsplit

import pytest

from model import checkpoint
from model.cards import ModelCard
from model.tsm import TSM, TSMConfig
from pipelines.browse import layout
from pipelines.jobs import browse
from tests import versions_by_hand as by_hand
from tests.pipelines.browse.conftest import Served
from tests.predictions_by_hand import NAMES

EVIL = by_hand.records.LabelMap(('<script>alert("1")</script>', "Tilting 'x' & \"y\""))


def fetch(server, path, *, method="GET", body=None, headers=None):
    """Returns status, headers and content; the path goes out as it is."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


def test_the_pages_show_the_version(serve, published_version):
    server = serve()
    status, _, page = fetch(server, "/")
    assert status == 200
    assert b"1 to 13 of 13" in page
    status, _, page = fetch(server, "/?split=validation&prediction=wrong")
    assert b"1 to 1 of 1" in page
    assert b'data-clip="203"' in page
    status, _, page = fetch(server, "/clip?id=105")
    assert b"truncated: cut off, or fewer frames" in page
    assert b"What to do: copy the clip again" in page
    status, _, page = fetch(server, "/class?label_id=2")
    assert b"0 of 1 (0 %)" in page
    assert NAMES[1].encode() in page
    status, _, page = fetch(server, "/classes")
    assert b"2 of 2 (100 %)" in page


def test_frames_are_the_stored_bytes(serve, published_version):
    server = serve()
    (row,) = (
        r for r in published_version.read_clips().to_pylist() if r["clip_id"] == "201"
    )
    content = (published_version.dataset / row["shard"]).read_bytes()
    begin, sizes = row["frames_offset"], row["frame_sizes"]
    status, headers, frames = fetch(server, "/frames?id=201")
    assert (status, json.loads(headers["x-frame-sizes"])) == (200, sizes)
    assert frames == content[begin : begin + sum(sizes)]
    status, headers, frame = fetch(server, "/frame?id=201&index=2")
    assert headers["content-type"] == "image/jpeg"
    begin += sum(sizes[:2])
    assert frame == content[begin : begin + sizes[2]]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/clip?id=../../../etc/passwd", 404),
        ("/frame?id=%2e%2e%2f%2e%2e%2fetc%2fpasswd&index=0", 404),
        ("/../../etc/passwd", 404),
        ("/%2e%2e/%2e%2e/etc/passwd", 404),
        ("/page.js/../../server.py", 404),
        ("/server.py", 404),
        ("/clip", 404),
        ("/frame?id=105&index=0", 404),
        ("/frame?id=201&index=8", 404),
        ("/frame?id=201&index=-1", 400),
        ("/frame?id=201&index=99999999999999999999", 400),
        ("/class?label_id=3", 404),
        ("/class?label_id=x", 400),
        ("/?split=other", 400),
        ("/?begin=1e9", 400),
        ("/?begin=999999999", 200),
        ("/suspects?place=999999999", 200),
        (f"/?text={'a' * 2100}", 414),
        ("/clip?id=%00%ff", 404),
        ("/corrections", 405),
    ],
)
def test_what_there_is_not_is_refused(shared, path, status):
    actual, _, content = fetch(shared, path)
    assert actual == status
    assert b"root:" not in content
    assert b"Traceback" not in content


@pytest.fixture(scope="module")
def shared(published_version, predictions_file, tmp_path_factory):
    corrections = tmp_path_factory.mktemp("shared") / "corrections.tsv"
    flags = ("--predictions", predictions_file)
    server = Served(published_version.dataset, corrections, *flags)
    yield server
    server._process.kill()
    server._process.communicate()


def decide(server, fields, **headers):
    own = {"Content-Type": "application/json"} | headers
    body = fields if isinstance(fields, bytes) else json.dumps(fields)
    return fetch(server, "/corrections", method="POST", body=body, headers=own)[0]


def test_a_decision_is_written_and_a_foreign_one_is_not(serve):
    server = serve()
    good = {"clip_id": "203", "label": NAMES[1]}
    assert decide(server, good, Origin="http://evil.example") == 403
    assert decide(server, good, **{"Content-Type": "text/plain"}) == 415
    assert decide(server, {"clip_id": "203", "label": "Other"}) == 400
    assert decide(server, {"clip_id": "999", "label": NAMES[1]}) == 404
    assert decide(server, b"[" * 9000) == 400
    assert decide(server, b"{}") == 400
    assert decide(server, b"x" * 10_001) == 413
    assert not server.corrections.exists()
    assert decide(server, good, Origin=server.url.rstrip("/")) == 200
    assert server.corrections.read_text() == f"clip_id\tlabel\n203\t{NAMES[1]}\n"
    assert b"decided label" in fetch(server, "/clip?id=203")[2]


def test_what_clips_and_classes_are_called_is_text(tmp_path):
    by_hand.publish(tmp_path / "dataset", label_map=EVIL)
    server = Served(tmp_path / "dataset", tmp_path / "corrections.tsv")
    try:
        for path in ("/", "/clip?id=101", "/classes", "/class?label_id=0"):
            page = fetch(server, path)[2].decode()
            assert "<script>alert" not in page
            assert html.escape(EVIL.names[0]) in page
    finally:
        server._process.kill()
        server._process.communicate()


def test_pages_have_what_changed_and_what_a_clip_was(tmp_path):
    """Clip 101 is Rolling in the first version and Tilting in the second."""
    by_hand.publish(tmp_path / "dataset")
    clips = by_hand.without("301")
    clips["train"]["101"] = 1
    by_hand.publish(tmp_path / "dataset", clips)
    server = Served(tmp_path / "dataset", tmp_path / "corrections.tsv")
    try:
        page = fetch(server, "/?since=000001")[2].decode()
        assert "1 to 1 of 1" in page
        assert 'data-clip="101"' in page
        assert "Gone since version 000001: 1 clip; see" in page
        page = fetch(server, "/clip?id=101&since=000001")[2].decode()
        assert "<td>000001</td><td>Rolling</td><td>train</td><td>stored</td>" in page
        assert "<td>000002 (this one)</td><td>Tilting</td>" in page
        assert fetch(server, "/?since=000003")[0] == 400
        assert fetch(server, "/?change=added")[0] == 400
    finally:
        server._process.kill()
        server._process.communicate()


@pytest.mark.slow
def test_a_checkpoint_is_evaluated_for_its_predictions(published_version, tmp_path):
    """The network is random: what it predicts for four clips is not looked at."""
    card = ModelCard(class_names=NAMES, view={"crop_px": 32, "resize_px": 32})
    size = {"width": 4, "num_segments": 2, "shift_div": 4}
    network = TSM(TSMConfig(num_classes=3, arch="resnet18", **size))
    network.card = card
    checkpoint.save(network, tmp_path / "random.ckpt", {})
    flags = ("--checkpoint", tmp_path / "random.ckpt")
    server = Served(published_version.dataset, tmp_path / "corrections.tsv", *flags)
    try:
        for word in ("right", "wrong"):
            assert fetch(server, f"/?prediction={word}")[0] == 200
        page = fetch(server, "/?split=validation")[2].decode()
        assert page.count("predicted: ") == 4
    finally:
        server._process.kill()
        server._process.communicate()


def test_a_checkpoint_that_is_none_is_one_line(published_version, tmp_path, caplog):
    argv = ["--dataset", str(published_version.dataset)]
    path = tmp_path / "none.ckpt"
    assert browse.main([*argv, "--checkpoint", str(path)]) == 1
    assert f"browse failed: {path} could not be evaluated: `clipmill eval` ended" in (
        caplog.text
    )
    both = ["--checkpoint", str(path), "--predictions", str(path)]
    with pytest.raises(SystemExit) as end:
        browse.main([*argv, *both])
    assert end.value.code == 2


def test_links_are_encoded():
    assert layout.link("/clip", id="a&b=c d/é") == "/clip?id=a%26b%3Dc+d%2F%C3%A9"


def test_ctrl_c_ends_it_with_one_line(serve):
    server = serve()
    fetch(server, "/")
    status, rest = server.stop()
    assert status == 130
    assert len(rest.splitlines()) == 1, rest
    assert "Traceback" not in rest


def test_another_address_needs_the_token_that_is_printed(serve):
    server = serve("--host", "0.0.0.0")
    port = urlsplit(server.url).port
    token = server.line.partition("?token=")[2].split()[0]
    local = serve()
    local.url = f"http://127.0.0.1:{port}/"
    host = {"Host": f"0.0.0.0:{port}"}
    assert fetch(local, "/", headers=host)[0] == 403
    assert fetch(local, f"/?token={token}", headers=host)[0] == 303
    assert (
        fetch(local, "/", headers=host | {"Cookie": f"clipmill_token={token}"})[0]
        == 200
    )
