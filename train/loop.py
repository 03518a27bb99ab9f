"""The training loop: steps, evaluations, checkpoints and metrics."""

import contextlib
import dataclasses
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from eval.metrics import TopK
from eval.running.rank_group import Ranks
from mindrecord_io.commands import progress_bar
from mindrecord_io.storage.object_store import StorageError
from model.tsm import TSM
from train import config, learner, profile, progress, results, run_folder, watch
from train.clips import Batch, TrainClips
from train.results import TrainResult

__all__ = ["Training", "TrainingError"]

logger = logging.getLogger(__name__)

_FACTS = ("epoch", "step", "top1")  # of a line of metrics, kept in checkpoints
_MAX_NAMED = 64  # clips of a step that an error names
_PROFILED_STEPS = range(2, 5)  # of this process, counted from 1: the first compiles


class TrainingError(RuntimeError):
    """Training cannot go on."""


class Training:
    """One training, from its first step or from a checkpoint to the end.

    Args:
      network: changed by training.
      score: measures the network on the validation split.
      keep_best: called by the first rank where that was the best measurement so far.
      folder: written by the first rank only.
      description: the version and the configuration, kept in `folder` and checkpoints.
      ranks: this process among those that train together.
      device_target: what a profile is of.
    """

    def __init__(
        self,
        network: TSM,
        settings: config.TrainConfig,
        *,
        clips: TrainClips,
        score: Callable[[], TopK],
        keep_best: Callable[[], None] = lambda: None,
        folder: run_folder.RunFolder,
        description: Mapping[str, Any],
        ranks: Ranks | None = None,
        device_target: str = "CPU",
    ) -> None:
        self._settings = settings
        self._device_target = device_target
        self._clips = clips
        self._score = score
        self._keep_best = keep_best
        self._folder = folder
        self._description = dict(description)
        self._ranks = ranks or Ranks()
        self._steps_per_epoch = clips.steps_per_epoch
        self._learner = learner.Learner(
            network, settings, self._steps_per_epoch, self._ranks
        )
        self._progress = progress.Progress()
        self._num_own_steps = 0
        self._begin_step = 0
        self._spent: list[watch.Spent] = []
        self._board = watch.Board(None)
        self._is_profiled = False
        self._profiler = contextlib.ExitStack()

    @property
    def network(self) -> TSM:
        """The network that is trained."""
        return self._learner.network

    @property
    def rates(self) -> npt.NDArray[np.float32]:
        """The learning rate of every step."""
        return self._learner.rates

    def begin(self, *, is_again: bool = False) -> None:
        """Begins from the first step.

        Args:
          is_again: what a training without a checkpoint left there is removed.

        Raises:
          FileExistsError: the folder holds another training.
        """
        if self._ranks.is_first:
            folder = self._folder
            begin = folder.begin_again if is_again else folder.begin
            card = self._learner.network.card.to_json()
            begin(self._description | {"card": card})
        self._learner.begin()

    def resume(self, step: int) -> None:
        """Goes on from the folder's checkpoint after `step` steps.

        Raises:
          checkpoint.CheckpointError: it is damaged or of another training.
          reader_state.StateError: the clips are others than those it was trained by.
        """
        facts = self._folder.checkpoints.restore(
            step, self._learner.network, self._learner.tensors()
        )
        self._clips.resume(facts["reader"])
        self._progress = progress.Progress.parse(facts["progress"])
        if self._ranks.is_first:
            self._folder.go_back(step)
            self._folder.update_config(self._description)
        else:  # else the clips seen before would be counted by every rank
            self._progress = dataclasses.replace(self._progress, seen=TopK.empty())

    def run(self, *, is_profiled: bool = False) -> TrainResult:
        """Trains to the end.

        Args:
          is_profiled: profile a few steps (see profile.py).

        Raises:
          TrainingError: the loss or the gradient is not finite; the message names the
            step and the clips.
        """
        began = time.monotonic()
        self._begin_step = begin_step = self._progress.num_steps
        if self._ranks.is_first:
            self._board = watch.Board(self._folder.board, begin_step)
        first_epoch = begin_step // self._steps_per_epoch
        with contextlib.closing(self._board), self._profiler:
            self._is_profiled = is_profiled and self._ranks.is_first
            for epoch in range(first_epoch, self._settings.epochs):
                stopwatch = self._run_epoch(epoch)
                self._end_epoch(epoch, stopwatch)
        if self._folder.profile.is_dir():
            self._folder.mirror.send(self._folder.profile)
        if self._progress.num_updates == 0:
            raise TrainingError(
                f"every one of {self._progress.num_steps} steps was skipped, as the "
                f"gradients overflowed: nothing was trained; try a lower loss_scale, "
                f"which is {self._settings.loss_scale:g}, or amp_level O0"
            )
        return self._result(time.monotonic() - began)

    def _run_epoch(self, epoch: int) -> watch.Stopwatch:
        """Runs the steps of an epoch that are left."""
        begin = self._progress.num_steps - epoch * self._steps_per_epoch
        stopwatch = watch.Stopwatch(self._ranks.num_ranks)
        bar = watch.EpochBar(
            f"epoch {epoch + 1}/{self._settings.epochs}",
            self._steps_per_epoch,
            begin_step=begin,
            clips_per_step=self._settings.clips_per_step,
            log_every=self._settings.log_every,
            is_shown=self._ranks.is_first,
        )
        with contextlib.closing(bar):
            for pending in self._launched(stopwatch.timed(self._clips)):
                figures = self._finish(pending) | stopwatch.figures()
                self._num_own_steps += 1
                if self._num_own_steps == 1:
                    stopwatch.restart()  # compiling is not training
                bar.step(figures)
                self._add_to_board(figures)
                self._save_if_due()
        return stopwatch

    def _launched(self, batches: Iterator[Batch]) -> Iterator[learner.Pending]:
        """Yields the steps to wait for, each while the device is at work on the next.

        After a step is launched the next batch is fetched and prepared, and only then
        the step before is yielded. Where a checkpoint is due, and after the first step,
        which compiles, nothing is fetched before that step itself was yielded.
        """
        step_index = self._progress.num_steps
        waiting: list[learner.Pending] = []
        prepared = self._prepared(batches, step_index)
        while prepared is not None:
            self._profile_if_due(step_index - self._begin_step)
            if step_index == self._begin_step and self._ranks.is_first:
                logger.info("compiling the network: about a minute the first time")
                progress_bar.phase("compiling the network")
            waiting.append(self._learner.launch(*prepared))
            step_index += 1
            if self._num_own_steps == 0 or self._is_save_due(step_index):
                yield from waiting
                waiting.clear()
            prepared = self._prepared(batches, step_index)
            yield from waiting[:-1]
            del waiting[:-1]
        yield from waiting

    def _prepared(
        self, batches: Iterator[Batch], step_index: int
    ) -> tuple[Batch, learner.Inputs] | None:
        batch = next(batches, None)
        return batch and (batch, self._learner.prepare(batch, step_index))

    def _finish(self, pending: learner.Pending) -> dict[str, float]:
        """Waits for a step; returns its figures."""
        outcome = pending.read()
        label_ids = pending.batch[1]
        is_finite = math.isfinite(outcome.loss) and (
            outcome.is_skipped or (outcome.is_finite and math.isfinite(outcome.norm))
        )
        if not is_finite:
            raise self._not_finite(outcome, len(label_ids))
        rate_index = self._progress.num_updates  # which a skipped step leaves as it is
        seen = TopK.of(outcome.logits, label_ids)
        self._progress = self._progress.after_step(
            outcome.loss, seen, is_skipped=outcome.is_skipped
        )
        return {
            "loss": outcome.loss,
            "top1": self._progress.seen.top1 or 0.0,
            "gradient_norm": outcome.norm,
            "learning_rate": float(self._learner.rates[rate_index]),
        }

    def _not_finite(self, outcome: learner.Outcome, num_clips: int) -> TrainingError:
        num_steps = self._progress.num_steps
        epoch, step = divmod(num_steps, self._steps_per_epoch)
        clip_ids = self._clips.clip_ids(epoch, step, num_clips)
        more = ", ..." if len(clip_ids) > _MAX_NAMED else ""
        return TrainingError(
            f"the loss is {outcome.loss} and the gradient's norm {outcome.norm} at "
            f"step {num_steps + 1}, step {step + 1} of epoch {epoch + 1}: try a lower "
            f"learning_rate, a warm-up or clip_gradient; the clips were "
            f"{', '.join(clip_ids[:_MAX_NAMED])}{more}"
        )

    def _add_to_board(self, figures: Mapping[str, float]) -> None:
        if self._progress.num_steps % self._settings.log_every == 0:
            self._board.add(watch.STEP_TAGS, figures, self._progress.num_steps)

    def _profile_if_due(self, num_launched: int) -> None:
        if self._is_profiled and num_launched == _PROFILED_STEPS.start:
            folder = self._folder.profile
            place = self._folder.mirror.place_of(folder)
            profiled = profile.profiled(folder, self._device_target, place=place)
            self._profiler.enter_context(profiled)
        if num_launched == _PROFILED_STEPS.stop:
            self._profiler.close()

    def _save_if_due(self) -> None:
        num_steps = self._progress.num_steps
        if self._is_save_due(num_steps):
            self._learner.synchronise_norms()
            epoch = num_steps // self._steps_per_epoch
            with self._writing():
                self._save({"epoch": epoch, "step": num_steps, "top1": None})

    def _is_save_due(self, num_steps: int) -> bool:
        """Whether a checkpoint inside an epoch comes after that many steps."""
        every = self._settings.checkpoint_every
        is_epochs_end = num_steps % self._steps_per_epoch == 0  # saved when evaluated
        return every is not None and num_steps % every == 0 and not is_epochs_end

    def _end_epoch(self, epoch: int, stopwatch: watch.Stopwatch) -> None:
        """Evaluates if it is due, and records the epoch."""
        speed = stopwatch.figures() | {"seconds": round(stopwatch.spent.seconds, 3)}
        self._spent.append(stopwatch.spent)
        self._learner.synchronise_norms()
        ended = self._progress
        with contextlib.ExitStack() as as_evaluated:
            score = None
            if self._is_evaluation_due(epoch):
                batches = self._clips.first_steps(
                    epoch, self._settings.precise_bn_steps
                )
                as_evaluated.enter_context(self._learner.as_evaluated(batches))
                score = self._score()
            line = self._metrics(epoch, self._summed(ended), score) | speed
            text = results.describe_epoch(line)
            logger.info("epoch %d of %d: %s", epoch + 1, self._settings.epochs, text)
            self._board.add(watch.EPOCH_TAGS, line, ended.num_steps)
            self._write_epoch(line, is_best=ended.is_best(score))
        self._progress = ended.after_epoch(epoch, score)
        with self._writing():
            self._save({key: line[key] for key in _FACTS})
            if self._ranks.is_first:
                self._board.flush()
                self._folder.mirror.send(self._folder.board)

    def _write_epoch(self, line: Mapping[str, Any], *, is_best: bool) -> None:
        """Writes an epoch's line of metrics, and the network if it is the best."""
        if not self._ranks.is_first:
            return
        with self._writing():
            self._folder.append_metrics(line)
            # The best one first: after a crash in between, it is made again.
            if is_best:
                self._keep_best()
                if self._folder.predictions_path.exists():
                    self._folder.mirror.send(self._folder.predictions_path)
                facts = {key: line[key] for key in _FACTS} | {"run": self._description}
                self._folder.save_best(self._learner.network, facts)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Explains what a failure to write in the block means."""
        if self._ranks.is_first:
            self._folder.check_owner()
        try:
            yield
        except (OSError, StorageError) as cause:
            raise TrainingError(
                f"cannot write to {self._folder.place} after step "
                f"{self._progress.num_steps}: {cause}; when that is mended, --resume "
                f"goes on from the newest checkpoint"
            ) from cause

    def _save(self, facts: Mapping[str, Any]) -> None:
        """Writes a checkpoint that `resume` goes on from."""
        summed = self._summed(self._progress)
        if not self._ranks.is_first:
            return
        self._folder.checkpoints.save(
            self._learner.network,
            self._learner.tensors(),
            dict(facts)
            | {
                "run": self._description,
                "progress": summed.to_json(),
                "reader": self._clips.state(),
            },
            step=self._progress.num_steps,
            num_kept=self._settings.keep_checkpoints,
        )

    def _summed(self, own: progress.Progress) -> progress.Progress:
        """Returns the progress with the clips that all ranks have seen."""
        counts = np.array(dataclasses.astuple(own.seen), np.float32)
        num_clips, num_top1, num_top5 = map(int, self._ranks.summed(counts))
        return dataclasses.replace(own, seen=TopK(num_clips, num_top1, num_top5))

    def _is_evaluation_due(self, epoch: int) -> bool:
        is_last = epoch + 1 == self._settings.epochs
        return (epoch + 1) % self._settings.evaluate_every == 0 or is_last

    def _metrics(
        self, epoch: int, ended: progress.Progress, score: TopK | None
    ) -> dict[str, Any]:
        """Returns an epoch's line of metrics; `step` counts the steps done."""
        return {
            "epoch": epoch,
            "step": ended.num_steps,
            "learning_rate": float(self._learner.rates[max(0, ended.num_updates - 1)]),
            "num_skipped": ended.num_skipped_in_epoch,
            "loss_scale": self._learner.loss_scale,
            "loss": ended.sum_loss / self._steps_per_epoch,
            "train_top1": ended.seen.top1,
            "top1": score.top1 if score else None,
            "top5": score.top5 if score else None,
            "num_clips": score.num_clips if score else 0,
        }

    def _result(self, seconds: float) -> TrainResult:
        best = self._progress.best
        best_place = self._folder.mirror.place_of(self._folder.best_checkpoint)
        total = watch.Spent.total(self._spent)
        return TrainResult(
            epochs=self._settings.epochs,
            steps=self._progress.num_steps,
            best_top1=best.top1 if best else None,
            best_epoch=self._progress.best_epoch,
            best_checkpoint=str(best_place),
            seconds=round(seconds, 3),
            clips_per_second=total.clips_per_second,
            waiting_share=total.waiting_share,
        )
