"""Where a run on ModelArts finds its data set and weights, and leaves its results.

data_url        a data set, or a folder with its archive: one .tar of a data set
train_url       the folder of runs; a run that is there is gone on with
checkpoint_url  the folder of tune_from

Each is in an object store, and read and written there, or a folder of this machine that
the platform has mounted, and used as it is. Where the platform's library moxing is, it
makes all copies, and runs are written on the disk and copied file by file meanwhile.
"""

import contextlib
import fcntl
import importlib
import importlib.util
import logging
import os
import shutil
import tarfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from eval.zoo.keys import ZooError, joined
from mindrecord_io import naming
from mindrecord_io.storage import incomplete, job_files, locations, object_store

__all__ = ["MoxingMirror", "has_moxing", "keys_of_places", "mirrored"]

logger = logging.getLogger(__name__)

_PAUSE_SECONDS = 1.0
_LIST_FILE = "checkpoint.json"  # written last, removed first: see train.checkpoints


def has_moxing() -> bool:
    """Returns whether ModelArts' library is installed."""
    return importlib.util.find_spec("moxing") is not None


def keys_of_places(keys: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the zoo's keys with the folders that the URLs stand for.

    Fetches and unpacks what has to be on this machine, once a host.

    Raises:
      ZooError: data_url has no data set.
      StorageError: a store cannot be read.
    """
    places: dict[str, Any] = {"data_path": _data_set(keys)}
    if keys["checkpoint_url"]:
        places["load_path"] = keys["checkpoint_url"]
        if _is_copied(keys["checkpoint_url"]) and keys["tune_from"]:
            target = Path(keys["data_path"]) / "weights" / str(keys["tune_from"])
            target.parent.mkdir(parents=True, exist_ok=True)
            source = joined(keys["checkpoint_url"], keys["tune_from"])
            with _locked(target.parent):
                _files().copy(source, str(target))
            places["load_path"] = target.parent
    if keys["train_url"]:
        is_copied = _is_copied(keys["train_url"])
        places["root_model"] = keys["output_path" if is_copied else "train_url"]
    return {**keys, **places}


@contextlib.contextmanager
def mirrored(keys: Mapping[str, Any], output: str) -> Iterator[list[str]]:
    """Yields the flags that go on with a run, and keeps its copy where moxing makes it.

    Args:
      output: the run's folder or URI.
    """
    is_copied = bool(keys["enable_modelarts"]) and _is_copied(keys["train_url"])
    if not is_copied:
        yield ["--resume"] if keys["enable_modelarts"] and _is_begun(output) else []
        return
    url = joined(keys["train_url"], Path(output).name)
    with MoxingMirror(Path(output), url).kept():
        yield ["--resume"] if _is_begun(output) else []


class MoxingMirror:
    """A folder of this machine, copied by moxing while a job writes to it.

    A file is copied after those that were written before it, so that a checkpoint is
    whole once its list is there.
    """

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        self._sent: dict[str, tuple[int, int]] = {}

    @contextlib.contextmanager
    def kept(self, pause_seconds: float = _PAUSE_SECONDS) -> Iterator[None]:
        """Fetches the copy where the folder is not, and keeps it during the block."""
        if _files().exists(self.url):
            if not self.folder.exists():
                self._fetch()
            names = _files().list_directory(self.url, recursive=True)
            self._sent = {name: (0, 0) for name in names if not name.endswith("/")}
        ended = threading.Event()

        def keep() -> None:
            while not ended.wait(pause_seconds):
                with contextlib.suppress(OSError):  # tried again after the pause
                    self.send()

        thread = threading.Thread(target=keep, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            self.send()

    def _fetch(self) -> None:
        with incomplete.folder_in(self.folder.parent) as work:
            _files().copy_parallel(self.url, str(work / "run"))
            for step in (work / "run" / "checkpoints").glob("step-*"):
                if not (step / _LIST_FILE).exists():  # a job died while it was copied
                    shutil.rmtree(step)
            (work / "run").rename(self.folder)

    def send(self) -> None:
        """Copies what has changed, and removes what is gone."""
        stamps = self._stamps()
        for name in sorted(stamps, key=lambda name: stamps[name]):
            path = self.folder / name
            if self._sent.get(name) != stamps[name] and path.exists():
                _files().copy(str(path), joined(self.url, name))
                self._sent[name] = stamps[name]
        gone = self._sent.keys() - stamps.keys()
        for name in sorted(
            gone, key=lambda name: (not name.endswith(_LIST_FILE), name)
        ):
            _files().remove(joined(self.url, name))
            del self._sent[name]

    def _stamps(self) -> dict[str, tuple[int, int]]:
        stamps = {}
        for path in self.folder.rglob("*"):
            name = path.relative_to(self.folder)
            is_own = any(p.startswith(".") or p == "compile_cache" for p in name.parts)
            with contextlib.suppress(FileNotFoundError):
                if path.is_file() and not is_own:
                    status = path.stat()
                    stamps[name.as_posix()] = (status.st_mtime_ns, status.st_size)
        return stamps


def _data_set(keys: Mapping[str, Any]) -> str:
    """Returns the path or URI of the data set that data_url stands for."""
    place = locations.location(str(keys["data_url"] or keys["data_path"]))
    names = _names(place)
    if naming.current_path(Path()).name in names:
        if not _is_copied(place):
            return str(place)
        target = Path(keys["data_path"]) / "dataset"
        with _locked(target.parent):
            if not target.exists():
                with incomplete.folder_in(target.parent) as work:
                    _files().copy_parallel(str(place), str(work / "dataset"))
                    (work / "dataset").rename(target)
        return str(target)
    archives = [name for name in names if name.endswith(".tar")]
    if len(archives) != 1:
        raise ZooError(
            f"data_url {place} must be a data set of clipmill or have one .tar of it, "
            f"has {', '.join(sorted(names)[:5]) or 'nothing'}"
        )
    return _unpacked(joined(place, archives[0]), Path(keys["data_path"]))


def _unpacked(archive: str, folder: Path) -> str:
    """Returns where an archive is unpacked, which the first process of a host does."""
    target = folder / Path(archive).stem
    with _locked(folder):
        if not target.exists():
            logger.info("unpacking %s", archive)
            with incomplete.folder_in(folder) as work:
                with _fetched(archive, work) as path, tarfile.open(path) as tar:
                    tar.extractall(work / "content", filter="data")
                current = sorted((work / "content").rglob("CURRENT"))
                if not current:
                    raise ZooError(f"{archive} has no data set of clipmill: no CURRENT")
                current[0].parent.rename(target)
    return str(target)


@contextlib.contextmanager
def _fetched(archive: str, work: Path) -> Iterator[Path]:
    if _is_copied(archive):
        _files().copy(archive, str(work / "archive.tar"))
        yield work / "archive.tar"
    else:
        with job_files.fetched(locations.location(archive)) as path:
            yield path


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Waits until no other process has the folder; a dead one has it no longer."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / ".clipmill.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _is_copied(place: Path | str) -> bool:
    """Returns whether a place is in a store that moxing copies from and to."""
    return locations.is_remote(str(place)) and has_moxing()


def _is_begun(output: str) -> bool:
    """Returns whether there is a run to go on with."""
    return "config.json" in _names(locations.location(output))


def _names(place: Path | str) -> list[str]:
    """Returns the names of the files in a folder; none if there is no folder."""
    if not locations.is_remote(place):
        folder = Path(place)
        return [p.name for p in folder.iterdir()] if folder.is_dir() else []
    if has_moxing():
        return list(_files().list_directory(str(place)))
    infos = object_store.open_storage(str(place)).list_infos("")
    return [info.base_name for info in infos]


def _files() -> Any:
    return importlib.import_module("moxing").file
