"""`clipmill browse`: serves a version's pages, to be looked at in a browser."""

import logging
import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mindrecord_io.commands import command_line, progress_bar
from mindrecord_io.versions.manifests import Version
from pipelines.browse import server
from pipelines.browse.collection import Collection
from pipelines.browse.corrections import Corrections
from pipelines.browse.guard import GuardSettings
from pipelines.browse.other_versions import OtherVersions
from pipelines.jobs import browse_options
from pipelines.jobs.browse_options import BrowseOptions
from pipelines.publishing import data_sets
from pipelines.report.predictions import Predictions, read_predictions

__all__ = ["browse", "main"]

logger = logging.getLogger(__name__)

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def browse(options: BrowseOptions) -> None:
    """Serves the pages until a signal ends the process.

    Raises:
      ManifestError, TableError: there is no such version, or its table is damaged.
      PredictionsError, CorrectionsError: these files do not fit the version.
      RuntimeError: the checkpoint could not be evaluated.
      OSError, StorageError: the port is taken, or the data set cannot be read.
    """
    with data_sets.opened(options.dataset) as data_set:
        version = data_set.open_version(options.version)
        names = version.category_names()
        predictions = _predictions(options, version)
        collection = Collection(
            version,
            data_set.read_part,
            predictions=predictions,
            corrections=Corrections(options.corrections, names),
            others=OtherVersions(data_set.open_version, data_set.list_versions()),
        )
        with _listener(options) as listener:
            host, port = listener.getsockname()[:2]
            settings = _settings(options.host, host, port)
            query = f"?token={settings.token}" if settings.token else ""
            shown = f"[{options.host}]" if ":" in options.host else options.host
            logger.info(
                "http://%s:%d/%s shows version %s of %s; Ctrl-C ends it",
                *(shown, port, query),
                *(version.manifest.version, options.dataset),
            )
            progress_bar.end_phase()  # it goes on for as long as somebody looks
            server.serve(server.make_app(collection, settings), listener)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command until it is interrupted; there is no result."""
    parser = browse_options.browse_parser()
    options = parser.make(BrowseOptions, **vars(parser.parse_args(argv)))
    return command_line.run("browse", lambda: browse(options))


def _predictions(options: BrowseOptions, version: Version) -> Predictions | None:
    """Returns the predictions of the file that is given, or of the checkpoint."""
    names = version.category_names()
    if options.predictions is not None:
        return read_predictions(options.predictions, names)
    if options.checkpoint is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "predictions.parquet"
        _evaluate(options, options.checkpoint, version, path)
        return read_predictions(path, names)


def _evaluate(
    options: BrowseOptions, checkpoint: Path | str, version: Version, path: Path
) -> None:
    """Has `clipmill eval`, a process with MindSpore, write predictions."""
    words = ["eval", "--dataset", options.dataset, "--split", options.split]
    words += ["--version", version.manifest.version]
    words += ["--checkpoint", checkpoint, "--output", path]
    logger.info("%s is scored first: its pages come after that", options.split)
    python_path = os.pathsep.join(entry or os.curdir for entry in sys.path)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pipelines", *map(str, words)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": python_path},
        check=False,
    )
    if done.returncode:
        raise RuntimeError(
            f"{checkpoint} could not be evaluated: `clipmill eval` ended with "
            f"exit status {done.returncode}; its lines are above"
        )


def _listener(options: BrowseOptions) -> socket.socket:
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    try:
        return socket.create_server((options.host, options.port), family=family)
    except OSError as cause:
        raise OSError(
            f"cannot listen on {options.host}, port {options.port}: {cause.strerror}; "
            "give another --port, or 0 for any that is free"
        ) from cause


def _settings(name: str, host: str, port: int) -> GuardSettings:
    """Returns the names that the server answers to, and a token off this machine."""
    is_local = name in _LOOPBACK
    names = {name, host, *(_LOOPBACK if is_local else ())}
    shown = {f"[{n}]" if ":" in n else n for n in names}
    if not is_local and host in ("0.0.0.0", "::"):  # noqa: S104
        shown.add(socket.gethostname())
    hosts = frozenset(f"{n}:{port}".lower() for n in shown)
    return GuardSettings(hosts, "" if is_local else secrets.token_urlsafe(24))
