"""The pool lends real child processes, which answer as overlapped_child says."""

import threading
import time

import pytest

from pipelines.building import child_process, worker_pool


@pytest.fixture
def started(children_path, monkeypatch):
    """The processes that were started, which answer as `overlapped_child` says."""
    start, found = child_process.ChildProcess, []

    def start_instead(module):
        assert module == "pipelines.building.shard_child"
        found.append(start("overlapped_child"))
        return found[-1]

    monkeypatch.setattr(child_process, "ChildProcess", start_instead)
    yield found
    for child in found:
        child.kill()


def ask_in_threads(pool, requests, wait=lambda: None):
    """Asks each request in a thread of its own; returns the answers in that order."""
    answers = {}

    def ask(number, request):
        with pool.lent() as worker:
            answers[number] = worker.request(request)["said"]

    threads = [
        threading.Thread(target=ask, args=pair, daemon=True)
        for pair in enumerate(requests)
    ]
    for thread in threads:
        thread.start()
    wait()
    for thread in threads:
        thread.join(60)
    return [answers[number] for number in range(len(requests))]


@pytest.mark.parametrize("num_workers", [1, 2, 3])
def test_every_thread_gets_the_answer_to_its_own_request(started, num_workers):
    pool = worker_pool.WorkerPool(num_workers)
    texts = [str(number) for number in range(40)]
    assert ask_in_threads(pool, [{"text": text} for text in texts]) == texts
    assert 1 <= len(started) <= num_workers


def test_a_process_is_started_only_where_no_other_is_idle(started):
    pool = worker_pool.WorkerPool(3)
    for _ in range(4):
        with pool.lent() as worker:
            assert worker.request({"text": "x"}) == {"said": "x"}
    assert len(started) == 1


def test_threads_that_want_a_worker_at_once_get_different_ones(started):
    pool = worker_pool.WorkerPool(2)
    with pool.lent() as one, pool.lent() as other:
        assert one is not other
    assert len(started) == 2


def test_a_worker_is_asked_for_the_next_while_it_finishes_one(started, tmp_path):
    pool = worker_pool.WorkerPool(1)
    made = str(tmp_path / "made")
    requests = [{"text": "one", "awaited": made}, {"text": "two", "made": made}]
    assert ask_in_threads(pool, requests) == ["one", "two"]
    assert len(started) == 1


def test_no_worker_is_asked_for_more_than_two_at_once(started, tmp_path):
    pool = worker_pool.WorkerPool(1)
    with pool.lent(), pool.lent():
        third = threading.Thread(target=lambda: pool.lent().__enter__(), daemon=True)
        third.start()
        third.join(0.2)
        assert third.is_alive()
    third.join(60)
    assert not third.is_alive()


def test_a_worker_that_died_is_replaced(started):
    pool = worker_pool.WorkerPool(1)
    with (
        pytest.raises(child_process.ChildDiedError, match="exited with status 7"),
        pool.lent() as worker,
    ):
        worker.request({"exit": 7})
    assert ask_in_threads(pool, [{"text": "again"}]) == ["again"]
    assert len(started) == 2


def test_both_who_wait_for_a_worker_that_dies_are_told(started, tmp_path):
    pool = worker_pool.WorkerPool(1)
    errors = []

    def ask(request):
        try:
            with pool.lent() as worker:
                worker.request(request)
        except child_process.ChildDiedError as error:
            errors.append(str(error))

    never = str(tmp_path / "never")
    threads = [
        threading.Thread(target=ask, args=({"text": "x", "awaited": never},))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    while not started:
        time.sleep(0.01)
    started[0].kill()
    for thread in threads:
        thread.join(60)
    assert len(errors) == 2


def test_the_shared_pool_ends_with_its_last_user(started):
    one, other = worker_pool.acquire(2), worker_pool.acquire(5)
    assert one is other
    with one.lent() as worker:
        worker.request({"text": "x"})
    worker_pool.release(one)
    with one.lent() as worker:
        worker.request({"text": "y"})
    worker_pool.release(other)
    assert len(started) == 1
    with pytest.raises(child_process.ChildDiedError):
        worker.request({"text": "z"})
    with (
        pytest.raises(child_process.ChildDiedError, match="was ended with its job"),
        one.lent(),
    ):
        pass


def test_an_abandoned_pool_does_not_end_the_next_one(started):
    abandoned = worker_pool.acquire(1)
    with abandoned.lent() as worker:
        worker.request({"text": "x"})
    worker_pool.abandon()
    with pytest.raises(child_process.ChildDiedError):
        worker.request({"text": "y"})

    pool = worker_pool.acquire(1)
    worker_pool.release(abandoned)
    with pool.lent() as worker:
        assert worker.request({"text": "z"}) == {"said": "z"}
    worker_pool.release(pool)


def test_who_waits_for_a_worker_is_told_that_the_pool_has_ended(started):
    pool = worker_pool.WorkerPool(1)
    errors = []

    def wait():
        try:
            with pool.lent():
                pass
        except child_process.ChildDiedError as error:
            errors.append(str(error))

    with pool.lent(), pool.lent():
        waiting = threading.Thread(target=wait)
        waiting.start()
        pool.end()
        waiting.join(60)
    assert errors == ["was ended with its job"]
