import os
import signal
import subprocess
import sys
import time
import tracemalloc

import pytest

from pipelines.building import child_process
from pipelines.building.child_process import (
    ChildDiedError,
    ChildProcess,
    ChildRefusedError,
    ChildTimeoutError,
)

MAX_PAYLOAD = 4 << 20

# A parent that says whom it has started, and then waits.
PARENT = """\
import time
from pipelines.building import child_process
child = child_process.ChildProcess("echo_child")
child.send({"do": "spawn"})
header, _ = child.receive(60, 0)
child.send({"do": "sleep", "seconds": 1000})
print(child.pid, header["pid"], flush=True)
time.sleep(1000)
"""


@pytest.fixture
def child(children_path):
    started = ChildProcess("echo_child")
    yield started
    started.kill()


def ask(child, max_seconds=60, **request):
    child.send(request)
    return child.receive(max_seconds, MAX_PAYLOAD)


def message(header: bytes, payload_num_bytes: int = 0) -> str:
    lengths = len(header).to_bytes(4, "big") + payload_num_bytes.to_bytes(8, "big")
    return (lengths + header).hex()


def test_answers_come_in_the_order_of_the_requests(child):
    for text in ("one", "two", "drei \N{SNOWMAN}"):
        child.send({"do": "echo", "text": text})

    answers = [child.receive(60, MAX_PAYLOAD) for _ in range(3)]

    assert answers == [
        ({"said": text}, text.encode()) for text in ("one", "two", "drei \N{SNOWMAN}")
    ]


@pytest.fixture
def overlapped_child(children_path):
    started = ChildProcess("overlapped_child")
    yield started
    started.kill()


def test_a_request_is_begun_while_the_one_before_is_finished(
    overlapped_child, tmp_path
):
    made = str(tmp_path / "made")
    overlapped_child.send({"text": "one", "awaited": made})
    overlapped_child.send({"text": "two", "made": made})

    answers = [overlapped_child.receive(60, 0)[0] for _ in range(2)]

    assert answers == [{"said": "one"}, {"said": "two"}]


def test_overlapped_answers_keep_the_order_of_the_requests(overlapped_child):
    for number in range(50):
        overlapped_child.send({"text": str(number)})

    answers = [overlapped_child.receive(60, 0)[0] for _ in range(50)]

    assert answers == [{"said": str(number)} for number in range(50)]


def test_no_third_request_is_begun_before_the_first_is_finished(
    overlapped_child, tmp_path
):
    paths = [tmp_path / name for name in ("release", "second", "third")]
    release, second, third = map(str, paths)
    overlapped_child.send({"text": "1", "awaited": release})
    overlapped_child.send({"text": "2", "made": second})
    overlapped_child.send({"text": "3", "made": third})
    while not paths[1].exists():
        time.sleep(0.01)

    assert not paths[2].exists()
    paths[0].touch()
    answers = [overlapped_child.receive(60, 0)[0]["said"] for _ in range(3)]
    assert answers == ["1", "2", "3"]


def test_a_defect_in_the_second_part_ends_the_child_also_of_the_last_request(
    overlapped_child,
):
    overlapped_child.send({"awaited": None})  # has no text to be said
    with pytest.raises(ChildDiedError, match=r"^exited with status 1$"):
        overlapped_child.receive(60, 0)


@pytest.fixture
def unloadable(children_path, monkeypatch, tmp_path):
    """Modules for children: a library that cannot be loaded, and a child with it."""
    library = 'raise ImportError("libGL.so.1: cannot open shared object file")'
    (tmp_path / "a_library.py").write_text(library)
    (tmp_path / "child_with_library.py").write_text("import a_library")
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.parametrize(
    ("module", "request_"),
    [
        ("child_with_library", {}),
        ("overlapped_child", {"load": "a_library"}),
        ("overlapped_child", {"load_at_once": "a_library"}),
        ("echo_child", {"do": "load", "name": "a_library"}),
    ],
)
def test_a_library_that_cannot_be_loaded_is_named_to_the_parent(
    unloadable, module, request_, capfd
):
    started = ChildProcess(module)
    try:
        started.send(request_)
        with pytest.raises(ChildRefusedError) as caught:
            started.receive(60, 0)
        with pytest.raises(ProcessLookupError):
            os.kill(started.pid, 0)
        with pytest.raises(ChildRefusedError):  # as who sent the next request does
            started.receive(60, 0)
    finally:
        started.kill()
    assert str(caught.value) == (
        "cannot run: the library 'a_library' cannot be loaded (libGL.so.1: cannot open "
        "shared object file): install it, or what it needs, anew"
    )
    assert capfd.readouterr().err == ""


def test_large_payloads_of_any_bytes_arrive_whole(child):
    _, payload = ask(child, do="payload", num_kib=3 << 10)

    assert payload == bytes(range(256)) * (12 << 10)


def test_a_payload_is_received_without_a_second_copy(child):
    child.send({"do": "payload", "num_kib": 4096})
    tracemalloc.start()
    try:
        _, payload = child.receive(60, MAX_PAYLOAD)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(payload) <= most < 1.5 * len(payload)


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        ({"do": "signal", "name": "SIGSEGV"}, "killed by SIGSEGV"),
        ({"do": "signal", "name": "SIGKILL"}, "killed by SIGKILL"),
        ({"do": "exit", "status": 7}, "exited with status 7"),
        ({"do": "exit", "status": 0}, "exited with status 0"),
        ({"do": "raise"}, "exited with status 1"),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)
def test_receive_tells_how_the_child_ended(child, request_, text):
    with pytest.raises(ChildDiedError, match=f"^{text}$"):
        ask(child, **request_)


def test_send_to_a_dead_child_tells_how_it_ended(child, tools):
    os.kill(child.pid, signal.SIGTERM)
    tools.wait_until(lambda: not tools.is_alive(child.pid), "SIGTERM ends the child")

    with pytest.raises(ChildDiedError, match=r"^killed by SIGTERM$") as caught:
        child.send({"do": "echo", "text": "?"})
    assert caught.value.by_signal == signal.SIGTERM


def test_receive_gives_up_in_time_and_the_child_can_be_killed(child, tools):
    with pytest.raises(ChildTimeoutError, match=r"^no answer within 0\.3 s$"):
        ask(child, max_seconds=0.3, do="sleep", seconds=1000)

    child.kill()

    assert not tools.is_alive(child.pid)


def test_an_answer_that_stops_half_way_counts_as_none(child):
    with pytest.raises(ChildTimeoutError):
        ask(child, max_seconds=1.5, do="send", hex=message(b"{}", 10) + "00" * 9)


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ("ff" * 64, "a message of 4294967295 .* bytes is too long"),
        (message(b"{}", MAX_PAYLOAD + 1), "2 . 4194305 bytes is too long"),
        (message(b"\x00\xfe{]"), "broke the protocol"),
        (message(b"{nothing"), "Expecting property name"),
        (message(b"[1, 2]"), r"must be a JSON object, got \[1, 2\]"),
        (message(b"[" * 200_000), "recursion"),
    ],
    ids=["noise", "payload", "bytes", "json", "list", "nested"],
)
def test_what_is_no_answer_ends_the_child(child, tools, sent, text):
    with pytest.raises(ChildDiedError, match=rf"broke the protocol: .*{text}|{text}"):
        ask(child, do="send", hex=sent)

    assert not tools.is_alive(child.pid)


def test_what_the_child_prints_goes_to_standard_error(child, capfd):
    header, _ = ask(child, do="print")

    captured = capfd.readouterr()
    assert header == {}
    assert captured.out == ""


def test_prints_reach_the_parents_standard_error_and_not_its_output(tools):
    code = (
        "from pipelines.building.child_process import ChildProcess as C\n"
        "child = C('echo_child'); child.send({'do': 'print'}); child.receive(60, 0)"
        "; child.close(); print('x')"
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=tools.command_environment([tools.HERE]),
    )

    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        "x\n",
        "written\nprinted\n",
    )


def test_a_child_gets_its_parents_path_and_extra_variables(children_path, tools):
    child = ChildProcess("echo_child", {"OF_THE_CHILD": "1"})

    header, _ = ask(child, do="environment", name="OF_THE_CHILD")
    child.close()

    assert header["value"] == "1"
    assert "OF_THE_CHILD" not in os.environ
    assert str(tools.HERE) in header["path"]


def test_close_lets_an_idle_child_end_by_itself(child, tools):
    ask(child, do="echo", text="")

    child.close()

    assert child._process.returncode == 0


def test_close_is_harmless_after_the_child_has_died(child):
    with pytest.raises(ChildDiedError):
        ask(child, do="exit", status=3)

    child.close()
    child.kill()


@pytest.mark.parametrize("end", ["kill", "close"])
def test_what_a_child_has_started_ends_with_it(child, tools, end):
    header, _ = ask(child, do="spawn")
    assert tools.is_alive(header["pid"])

    getattr(child, end)()

    tools.wait_until(lambda: not tools.is_alive(header["pid"]), "the grandchild ends")


@pytest.mark.slow
def test_close_kills_a_child_that_is_busy(child, tools):
    child.send({"do": "sleep", "seconds": 1000})

    child.close()

    assert not tools.is_alive(child.pid)


def test_a_child_dies_soon_after_its_parent_was_killed(tools):
    with subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdout=subprocess.PIPE,
        text=True,
        env=tools.command_environment([tools.HERE]),
    ) as parent:
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert all(map(tools.is_alive, pids))

        parent.kill()

    for pid in pids:
        tools.wait_until(lambda pid=pid: not tools.is_alive(pid), "orphans end")


def test_serve_ends_when_the_parent_closes_the_socket(child, tools):
    for _ in range(3):
        child.send({"do": "payload", "num_kib": 1 << 10})

    child._socket.close()  # while an answer is on its way

    tools.wait_until(lambda: not tools.is_alive(child.pid), "the child ends")
    assert child._process.wait() == 0


def test_children_that_were_closed_or_killed_leave_no_zombies(children_path, tools):
    for end in ("close", "kill"):
        child = ChildProcess("echo_child")
        ask(child, do="echo", text="")
        getattr(child, end)()
        assert child.pid not in tools.child_pids(os.getpid())


def test_module_names_what_it_offers():
    assert sorted(child_process.__all__) == [
        "ChildDiedError",
        "ChildProcess",
        "ChildRefusedError",
        "ChildTimeoutError",
        "Finish",
        "refuse",
        "serve",
        "serve_overlapped",
    ]
