"""From wrong labels to a version without them, as a person does it on the screen.

200 drawn clips, ten of them labelled wrongly. A small classifier that sees the stored
frames and the labels as they are doubts some; they are corrected by a key in the
browser, published by `relabel --corrections`, and listed by the report.
"""

import csv
import json
import random

import cv2
import numpy as np
import pytest

from eval import predictions
from eval.evaluate import Evaluation
from mindrecord_io import read_clip
from tests.pipelines.browse.conftest import Served

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("sigint_is_heard")]

STEPS = {
    "Down": (0, 2),
    "Left": (-3, 0),
    "Right": (3, 0),
    "Stay": (0, 0),
    "Up": (0, -2),
}
"""How far a square goes from frame to frame, across and down, by its class."""

NUM_CLIPS, NUM_WRONG, NUM_FRAMES = 200, 10, 8
NUM_FOLDS = 4


def draw(folder, label, generator):
    """Writes the frames of a clip: a square that begins anywhere and moves as named."""
    folder.mkdir(parents=True)
    across, down = STEPS[label]
    left = generator.integers(24, 36) - 4 * across
    top = generator.integers(18, 26) - 4 * down
    for index in range(NUM_FRAMES):
        picture = generator.integers(0, 50, (48, 64, 3), dtype=np.uint8)
        x, y = left + across * index, top + down * index
        picture[max(0, y) : y + 10, max(0, x) : x + 10] += 200
        cv2.imwrite(str(folder / f"{index + 1:05d}.jpg"), picture)


@pytest.fixture
def made(tools, tmp_path):
    """A data set with wrong labels; the labels as annotated, and the true ones."""
    generator, rng = np.random.default_rng(3), random.Random(3)
    names = list(STEPS)
    true = {str(1000 + i): names[i % len(names)] for i in range(NUM_CLIPS)}
    for clip_id, label in true.items():
        draw(tmp_path / "clips" / clip_id, label, generator)
    wrong = {
        clip_id: rng.choice([name for name in names if name != true[clip_id]])
        for clip_id in rng.sample(sorted(true), NUM_WRONG)
    }
    annotated = true | wrong
    with (tmp_path / "labels.csv").open("w") as file:
        rows = ((i, label, "train") for i, label in annotated.items())
        csv.writer(file).writerows([("clip_id", "label", "split"), *rows])
    dataset = tmp_path / "dataset"
    done = tools.run_command(
        *("build", "--clips", tmp_path / "clips", "--dataset", dataset),
        *("--annotations", tmp_path / "labels.csv", "--num_shards", 2),
    )
    assert done.returncode == 0, done.stderr
    return dataset, annotated, true


def places(frames):
    """Where the square is in each frame: the mean place of what is bright."""
    bright = (frames.mean(axis=3) > 125).astype(float)  # (T, H, W)
    weights = bright.sum(axis=(1, 2)) + 1e-6
    across = (bright * np.arange(frames.shape[2])).sum(axis=(1, 2)) / weights
    down = (bright * np.arange(frames.shape[1])[:, None]).sum(axis=(1, 2)) / weights
    return np.diff(np.stack([across, down], axis=1), axis=0).ravel()


def predict(dataset, annotated, path):
    """Writes what a classifier predicts for clips that it was not trained on.

    Its classes are the mean motions of those labelled so, wrong labels included.
    """
    clip_ids, names = list(annotated), list(STEPS)
    seen = np.stack([places(read_clip(dataset, clip_id)) for clip_id in clip_ids])
    label_ids = np.array([names.index(annotated[i]) for i in clip_ids], np.int32)
    scores = np.zeros((len(clip_ids), len(names)), np.float32)
    for fold in range(NUM_FOLDS):
        out = np.arange(len(clip_ids)) % NUM_FOLDS == fold
        for label_id in range(len(names)):
            mean = seen[~out & (label_ids == label_id)].mean(axis=0)
            scores[out, label_id] = -((seen[out] - mean) ** 2).mean(axis=1)
    table = predictions.to_table(Evaluation.of(scores, label_ids), clip_ids, names)
    predictions.write(table, path)


def last_line(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_ten_wrong_labels_are_corrected_by_key_and_listed(
    made, tools, open_page, tmp_path
):
    dataset, annotated, true = made
    wrong = {i for i in true if annotated[i] != true[i]}
    predict(dataset, annotated, tmp_path / "predictions.parquet")
    words = ["--predictions", tmp_path / "predictions.parquet"]
    listed = tools.run_command("suspects", *words, "--output", tmp_path / "s.tsv")
    assert last_line(listed)["num_suspects"] >= NUM_WRONG
    with (tmp_path / "s.tsv").open() as file:
        suspects = list(csv.DictReader(file, delimiter="\t"))
    assert {row["clip_id"] for row in suspects[:NUM_WRONG]} == wrong

    server = Served(dataset, tmp_path / "corrections.tsv", *words)
    page = open_page(server.url + "suspects")
    for number in range(1, NUM_WRONG + 1):
        status = page.locator("p[role=status]").inner_text()
        assert status.startswith(f"{number} of {len(suspects)}, clip ")
        assert "not decided" in status
        with page.expect_navigation():
            page.keyboard.press("c")
    page.goto("about:blank")  # else it may ask for pictures of a server that is gone
    assert server.stop()[0] == 130
    lines = (tmp_path / "corrections.tsv").read_text().splitlines()[1:]
    assert dict(line.split("\t") for line in lines) == {i: true[i] for i in wrong}

    relabelled = tools.run_command(
        *("relabel", "--corrections", tmp_path / "corrections.tsv"),
        *("--dataset", dataset),
    )
    assert last_line(relabelled)["version"] == "000002"
    reported = last_line(tools.run_command("report", "--dataset", dataset))
    page = open_page(f"file://{reported['report']}")
    page.get_by_text("relabelled: 10", exact=True).click()
    rows = page.locator("details[open] tbody tr").all()
    shown = {tuple(row.locator("td").all_inner_texts()) for row in rows}
    assert shown == {(i, annotated[i], true[i]) for i in wrong}
