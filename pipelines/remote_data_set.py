"""Writing a data set in an object store, which has neither renames nor locks.

A shard's files are uploaded under their final names, which hold the shard's key; its
summary follows when they are proved, and nobody takes a shard for published before.
Whoever makes the same shard meanwhile uploads the same bytes. A version is published by
a claim on its number, its files, its manifest and, last, CURRENT.

Of two writers that publish at the same time at most one succeeds. Each first writes its
claim, then lists: whoever finds another's, or a version that CURRENT does not know yet,
yields. (Both listing before either writes is impossible; both yielding is not, and
loses nothing.) This needs a store whose listings are consistent, as S3's have been
since 2020. A claim that its writer died with is void after an hour.
"""

import contextlib
import datetime
import json
import logging
import shutil
import uuid
from concurrent import futures
from pathlib import Path

from pyarrow import fs

from mindrecord_io import (
    files,
    incomplete,
    manifest,
    naming,
    records,
    shards,
    storage,
    transfers,
)

__all__ = ["RemoteDataSet"]

logger = logging.getLogger(__name__)

_CLAIMS = "claims"
_CLAIM_IS_VOID_AFTER = datetime.timedelta(hours=1)
_NUM_THREADS = 4  # of large files


class RemoteDataSet:
    """A data set in an object store; see data_sets.DataSet."""

    def __init__(self, uri: str, folder: Path) -> None:
        self._remote = storage.open_storage(uri)
        self.folder = folder

    def open_version(self, name: str | None = None) -> manifest.Version:
        name = name or self._current()
        if name is None:
            raise manifest.ManifestError(
                f"{self._remote.uri}: no data set here, or none published yet (no "
                f"CURRENT file)"
            )
        version = naming.version_folder(Path(), name).as_posix()
        if not self._exists(f"{version}/manifest.json"):
            names = [n for n, _ in self._versions()]
            raise manifest.ManifestError(
                f"{self._remote.uri}: no version {name}, there are {names}"
            )
        target = naming.version_folder(self.folder, name)
        if not target.is_dir():
            with incomplete.folder_in(target.parent) as folder:
                self._download_version(version, folder / name)
                (folder / name).rename(target)
        return manifest.open_version(self.folder, name)

    def current_version(self) -> manifest.Version | None:
        name = self._current()
        return None if name is None else self.open_version(name)

    def shard_keys(self, split: str) -> set[str]:
        return set(self._remote.list_names(f"shards/{split}"))

    def read_summary(self, split: str, key: str) -> records.ShardSummary | None:
        folder = naming.shard_folder(Path(), split, key)
        try:
            content = self._remote.read_bytes(naming.summary_path(folder).as_posix())
        except FileNotFoundError:
            return None
        where = f"{self._remote.uri}/{folder.as_posix()}"
        summary = shards.parse_summary(content, split, key, where)
        for name, expected in shards.file_fingerprints(summary).items():
            (found,) = self._look((folder / name).as_posix())
            if found.size != expected.num_bytes:
                raise shards.ShardError(
                    f"{where}: published shard is damaged: {name} has {found.size} "
                    f"bytes, not {expected.num_bytes}; remove it and build again"
                )
        return summary

    def fetch(self, split: str, key: str) -> None:
        target = naming.shard_folder(self.folder, split, key)
        if target.is_dir():
            return
        remote = naming.shard_folder(Path(), split, key)
        with incomplete.folder_in(target.parent) as folder:
            for info in self._list(remote.as_posix()):
                path = f"{remote.as_posix()}/{info.base_name}"
                transfers.download(self._remote, path, folder / info.base_name)
            folder.rename(target)

    def keep(self, split: str, key: str) -> None:
        summary = shards.read_summary(self.folder, split, key)
        assert summary is not None
        remote = naming.shard_folder(Path(), split, key)
        local = naming.shard_folder(self.folder, split, key)
        last = naming.summary_path(remote)
        for path in (*(remote / n for n in shards.file_fingerprints(summary)), last):
            transfers.upload(self._remote, path.as_posix(), local / path.name)

    def drop(self, split: str, key: str) -> None:
        shutil.rmtree(naming.shard_folder(self.folder, split, key), ignore_errors=True)

    def receipts(self, staging: Path) -> Path | str:
        return f"{self._remote.uri}/versions/{staging.name}/receipts"

    def remove_abandoned(self) -> None:
        # In the store there is nothing to remove: what was half uploaded is finished by
        # whoever makes the shard again.
        incomplete.remove_abandoned(self.folder.parent)

    def publish(self, folder: Path, said: manifest.Manifest) -> manifest.Version:
        """Makes a folder of finished files the newest version.

        Raises:
          PublishConflictError: CURRENT is no longer `said.parent`, or another writer
            is about to change it.
        """
        number = self._next_number(said)
        name = naming.version_name(number)
        claim = f"versions/{name}/{_CLAIMS}/{uuid.uuid4().hex}"
        transfers.put(self._remote, claim, manifest.utc_now().encode())
        try:
            self._refuse_rivals(said, claim, number)
            fields = records.to_json(said) | {"version": name}
            text = json.dumps(fields, indent=1, ensure_ascii=False) + "\n"
            paths = sorted(path for path in folder.rglob("*") if path.is_file())
            with futures.ThreadPoolExecutor(_NUM_THREADS) as executor:
                list(executor.map(lambda p: self._upload(p, folder, name), paths))
            manifest_path = f"versions/{name}/manifest.json"
            transfers.put(self._remote, manifest_path, text.encode())
        except BaseException:
            with contextlib.suppress(OSError):
                self._remote.filesystem.delete_file(claim)
            raise
        transfers.put(self._remote, "CURRENT", f"{name}\n".encode())
        return self.open_version(name)

    def _upload(self, path: Path, folder: Path, name: str) -> None:
        below = path.relative_to(folder).as_posix()
        transfers.upload(self._remote, f"versions/{name}/{below}", path)

    def _next_number(self, said: manifest.Manifest) -> int:
        current = self._current() or ""
        newest = naming.version_number(current) if current else 0
        if current != said.parent:
            raise self._conflict(said)
        for name, is_young in self._versions():
            number = naming.version_number(name)
            if number > newest and is_young:
                raise self._conflict(said)
            newest = max(newest, number)
        return newest + 1

    def _refuse_rivals(self, said: manifest.Manifest, claim: str, number: int) -> None:
        claims = self._list(claim.rpartition("/")[0])
        if len(claims) > 1 or (self._current() or "") != said.parent:
            raise self._conflict(said)
        for name, is_young in self._versions():
            if naming.version_number(name) > number and is_young:
                raise self._conflict(said)

    def _versions(self) -> list[tuple[str, bool]]:
        """Returns the names of all versions, oldest first, and which are new."""
        now = datetime.datetime.now(datetime.UTC)
        versions = []
        for name in sorted(self._remote.list_names("versions")):
            if naming.is_version_name(name):
                claims = self._list(f"versions/{name}/{_CLAIMS}")
                times = [info.mtime for info in claims if info.mtime]
                is_young = any(now - t < _CLAIM_IS_VOID_AFTER for t in times)
                versions.append((name, is_young))
        return versions

    def _conflict(self, said: manifest.Manifest) -> manifest.PublishConflictError:
        return manifest.PublishConflictError(
            f"{self._remote.uri}: version {self._current()} is current, or about to be "
            f"followed by another writer's, and this one began from "
            f"{said.parent or 'nothing'}; nothing is lost, run the same command "
            f"again: finished shards are reused"
        )

    def _current(self) -> str | None:
        try:
            name = self._remote.read_bytes("CURRENT").decode("ascii").strip()
            naming.version_number(name)
        except FileNotFoundError:
            return None
        except ValueError as cause:
            raise manifest.ManifestError(
                f"{self._remote.uri}/CURRENT: does not name a version: {cause}"
            ) from cause
        return name

    def _download_version(self, version: str, folder: Path) -> None:
        for below in ("", "labels"):
            parent = f"{version}/{below}".rstrip("/")
            (folder / below).mkdir(parents=True)
            for info in self._list(parent):
                if info.type == fs.FileType.File:
                    target = folder / below / info.base_name
                    path = f"{parent}/{info.base_name}"
                    transfers.download(self._remote, path, target)
                    files.sync(target)

    def _exists(self, path: str) -> bool:
        (found,) = self._look(path)
        return bool(found.type == fs.FileType.File)

    def _look(self, path: str) -> list[fs.FileInfo]:
        found: list[fs.FileInfo] = storage.retried(
            lambda: self._remote.filesystem.get_file_info([path]),
            f"look at {self._remote.uri}/{path}",
        )
        return found

    def _list(self, folder: str) -> list[fs.FileInfo]:
        selector = fs.FileSelector(folder, allow_not_found=True)
        found: list[fs.FileInfo] = storage.retried(
            lambda: self._remote.filesystem.get_file_info(selector),
            f"list {self._remote.uri}/{folder}",
        )
        return found
