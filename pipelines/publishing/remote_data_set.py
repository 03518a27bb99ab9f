"""Writes a data set in an object store, which has neither renames nor locks.

A shard's files are uploaded under their final names, which hold the shard's key; its
summary follows when they are proved, and only then it counts as published. Another job
that makes the same shard meanwhile uploads the same bytes. A version is published by a
claim on its number, its files, its manifest and, last, CURRENT.

Of two writers that publish at the same time at most one succeeds. Each first writes its
claim, then lists: one that sees another's, or a version that CURRENT does not name yet,
yields. (Both listing before either writes is impossible; both yielding is not, and
loses nothing.) This needs a store whose listings are consistent, as S3's have been
since 2020. A claim that its writer died with is void after an hour.

Nothing is removed while a job is at work: see remote_marks and remote_removal.
"""

import contextlib
import dataclasses
import datetime
import logging
import posixpath
import shutil
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent import futures
from pathlib import Path

from pyarrow import fs

from mindrecord_io import naming
from mindrecord_io.shards import shard_folders
from mindrecord_io.shards.shard_folders import ShardError, SummaryFile
from mindrecord_io.storage import incomplete, object_store, transfers
from mindrecord_io.storage.object_store import StorageError
from mindrecord_io.versions import manifests, opening, publication, shard_checks
from mindrecord_io.versions.manifests import Manifest, PublishConflictError, Version
from mindrecord_io.versions.version_checks import Damage
from pipelines.publishing import remote_marks, remote_removal
from pipelines.publishing.remote_marks import Mark
from pipelines.publishing.removal import Removal

__all__ = ["RemoteDataSet"]

logger = logging.getLogger(__name__)

_CLAIMS = "claims"
_CLAIM_IS_VOID_AFTER = datetime.timedelta(hours=1)
_NUM_THREADS = 4  # of large files
_NUM_REQUESTS = 16  # small ones at once
_POLL_SECONDS = 2.0


class RemoteDataSet:
    """A data set in an object store; see data_sets.DataSet."""

    def __init__(self, uri: str, folder: Path) -> None:
        self._remote = object_store.open_storage(uri)
        self.location: Path | str = self._remote.uri
        self.folder = folder

    def list_versions(self) -> list[str]:
        return opening.list_versions(self._remote)

    def current_name(self) -> str | None:
        return opening.current_name(self._remote)

    def read_manifest(self, name: str | None = None) -> Manifest:
        return opening.read_manifest(self._remote, name)

    def open_version(self, name: str | None = None) -> Version:
        return opening.open_version(self._remote, name, into=self.folder)

    def current_version(self) -> Version | None:
        name = self.current_name()
        return None if name is None else self.open_version(name)

    def shard_keys(self, split: str) -> set[str]:
        return set(self._remote.list_names(f"shards/{split}"))

    def read_summary(self, split: str, key: str) -> SummaryFile | None:
        folder = naming.shard_folder(Path(), split, key)
        try:
            content = self._remote.read_bytes(naming.summary_path(folder).as_posix())
        except FileNotFoundError:
            return None
        where = f"{self._remote.uri}/{folder.as_posix()}"
        file = shard_folders.parse_summary(content, split, key, where)
        for name, expected in shard_folders.file_fingerprints(file.summary).items():
            info = self._remote.info((folder / name).as_posix())
            if info.type == fs.FileType.NotFound:  # removed while it was uploaded
                logger.warning("%s: %s is missing, it is made again", where, name)
                return None
            if info.size != expected.num_bytes:
                raise ShardError(
                    f"{where}: published shard is damaged: {name} has {info.size} "
                    f"bytes, not {expected.num_bytes}; {shard_folders.REMEDY}"
                )
        return file

    def fetch(self, split: str, key: str) -> None:
        target = naming.shard_folder(self.folder, split, key)
        if target.is_dir():
            return
        remote = naming.shard_folder(Path(), split, key)
        with incomplete.folder_in(target.parent) as folder:
            for info in self._remote.list_infos(remote.as_posix()):
                path = f"{remote.as_posix()}/{info.base_name}"
                transfers.download(self._remote, path, folder / info.base_name)
            folder.rename(target)

    def keep(self, split: str, key: str) -> None:
        summary = shard_folders.read_summary(self.folder, split, key)
        assert summary is not None
        remote = naming.shard_folder(Path(), split, key)
        local = naming.shard_folder(self.folder, split, key)

        def upload(path: Path) -> None:
            transfers.upload(self._remote, path.as_posix(), local / path.name)

        paths = [remote / n for n in shard_folders.file_fingerprints(summary)]
        with futures.ThreadPoolExecutor(_NUM_THREADS) as executor:
            list(executor.map(upload, paths))
        upload(naming.summary_path(remote))

    def drop(self, split: str, key: str) -> None:
        shutil.rmtree(naming.shard_folder(self.folder, split, key), ignore_errors=True)

    def receipts(self, staging: Path) -> Path | str:
        of_job = staging if naming.is_incomplete(staging) else None
        name = (of_job or naming.incomplete_folder(staging)).name
        return f"{self._remote.uri}/versions/{name}/receipts"

    def read_part(self, path: str, begin: int, num_bytes: int) -> bytes:
        return self._remote.read_at_most(path, begin, num_bytes)

    def check_sizes(self, version: Version) -> list[Damage]:
        sizes: dict[str, dict[str, int]] = defaultdict(dict)
        for split in sorted(version.manifest.num_shards):
            for info in self._remote.list_infos(f"shards/{split}", recursive=True):
                if info.is_file:
                    parent, name = posixpath.split(info.path)
                    sizes[posixpath.basename(parent)][name] = info.size
        return [
            damage
            for entry in version.manifest.shards
            for damage in (
                *shard_checks.check_listing(entry, sizes[entry.key]),
                *shard_checks.check_summary_size(entry, sizes[entry.key]),
            )
        ]

    def num_bytes(self, places: Sequence[str]) -> int:
        return remote_removal.num_bytes(self._remote, places)

    def write(self, path: str, content: bytes) -> str:
        transfers.put(self._remote, path, content)
        return f"{self._remote.uri}/{path}"

    def copy_of(self, path: str) -> Path | None:
        try:
            transfers.download(self._remote, path, self.folder / path)
        except FileNotFoundError:
            return None
        return self.folder / path

    def replace(self, path: str, source: Path) -> None:
        transfers.upload_note(self._remote, path, source)
        source.unlink()

    def remove(self, folder: str, names: Sequence[str]) -> None:
        for name in set(names).intersection(self._remote.list_names(folder)):
            self._remote.remove_file(f"{folder}/{name}")

    def remove_abandoned(self) -> None:
        # In the store a job removes nothing: what was half uploaded is finished by
        # the next job that makes the shard, and the rest waits for a prune.
        incomplete.remove_abandoned(self.folder.parent)

    @contextlib.contextmanager
    def staging(self) -> Iterator[Path]:
        with contextlib.ExitStack() as stack:
            staging = stack.enter_context(publication.staging_folder(self.folder))
            mark = remote_marks.at_work(self._remote, staging.name, "job")
            self._wait_for_prune(stack.enter_context(mark))
            yield staging

    @contextlib.contextmanager
    def removing(self) -> Iterator[Removal]:
        with remote_removal.begun(self._remote) as granted:
            granted.clear(self._versions_without_manifest())
            yield granted

    def publish(self, folder: Path, manifest: Manifest) -> Version:
        """Publishes a folder of finished files as the newest version.

        Raises:
          PublishConflictError: CURRENT is no longer `manifest.parent`, or another
            writer is about to change it, or this one was taken for dead meanwhile.
        """
        number = self._next_number(manifest)
        name = naming.version_name(number)
        claim = f"versions/{name}/{_CLAIMS}/{uuid.uuid4().hex}"
        with contextlib.ExitStack() as undo:
            undo.callback(self._forget, claim)
            transfers.put_note(self._remote, claim, manifests.utc_now().encode())
            self._refuse_rivals(manifest, claim, number)
            published = dataclasses.replace(manifest, version=name)
            content = manifests.encoded(published)
            paths = sorted(path for path in folder.rglob("*") if path.is_file())
            with futures.ThreadPoolExecutor(_NUM_THREADS) as executor:
                list(executor.map(lambda p: self._upload(p, folder, name), paths))
            manifest_path = f"versions/{name}/manifest.json"
            undo.callback(self._forget, manifest_path)  # without it: no version
            transfers.put(self._remote, manifest_path, content)
            self._refuse_unmarked(folder.parent.name)
            undo.pop_all()
        transfers.put(self._remote, "CURRENT", f"{name}\n".encode())
        # What was uploaded is the copy of the version: nothing is fetched for it.
        naming.manifest_path(folder).write_bytes(content)
        target = naming.version_folder(self.folder, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(target)
        return Version(self.folder, published)

    def _wait_for_prune(self, mark: Mark) -> None:
        is_logged = False
        while True:
            others = mark.others()
            pruning = [o for o in others if o.kind == "prune" and not o.is_void]
            if not pruning:
                return
            if not is_logged:
                logger.info("waiting for the end of %s", ", ".join(map(str, pruning)))
            is_logged = True
            time.sleep(_POLL_SECONDS)

    def _refuse_unmarked(self, name: str) -> None:
        """Raises PublishConflictError if the job's mark is gone (see remote_marks)."""
        if not self._exists(f"versions/{name}/job"):
            raise PublishConflictError(
                f"{self._remote.uri}: this job was taken for dead, and shards that it "
                f"counts on may have been removed; run the same command again: what "
                f"is there is reused"
            )

    def _versions_without_manifest(self) -> list[str]:
        """Returns the folders of unfinished versions older than the current one.

        Numbers above the current one's may yet be taken for another writer's.
        """
        current = self.current_name()
        listed = filter(naming.is_version_name, self._remote.list_names("versions"))
        names = set(listed) - set(self.list_versions())
        newest = naming.version_number(current) if current else 0
        old = [name for name in names if naming.version_number(name) < newest]
        return [f"versions/{name}" for name in sorted(old)]

    def _forget(self, path: str) -> None:
        with contextlib.suppress(StorageError):
            self._remote.remove_file(path)

    def _upload(self, path: Path, folder: Path, name: str) -> None:
        below = path.relative_to(folder).as_posix()
        is_for_people = path.suffix == ".tsv"
        upload = transfers.upload_note if is_for_people else transfers.upload
        upload(self._remote, f"versions/{name}/{below}", path)

    def _next_number(self, manifest: Manifest) -> int:
        """Returns a number above all versions'; CURRENT is read after the claim."""
        parent = naming.version_number(manifest.parent) if manifest.parent else 0
        newest = parent
        for number, is_young in self._versions(parent):
            if number > parent and is_young:
                raise self._conflict(manifest)
            newest = max(newest, number)
        return newest + 1

    def _refuse_rivals(self, manifest: Manifest, claim: str, number: int) -> None:
        claims = self._remote.list_infos(claim.rpartition("/")[0])
        if len(claims) > 1 or (self.current_name() or "") != manifest.parent:
            raise self._conflict(manifest)
        for other, is_young in self._versions(number):
            if other > number and is_young:
                raise self._conflict(manifest)

    def _versions(self, above: int) -> list[tuple[int, bool]]:
        """Returns the numbers of all versions, and which of those above one are new."""
        now = datetime.datetime.now(datetime.UTC)
        versions = []
        names = filter(naming.is_version_name, self._remote.list_names("versions"))
        for name in sorted(names, key=naming.version_number):
            number, times = naming.version_number(name), []
            if number > above:
                claims = self._remote.list_infos(f"versions/{name}/{_CLAIMS}")
                times = [info.mtime for info in claims if info.mtime]
            is_young = any(now - t < _CLAIM_IS_VOID_AFTER for t in times)
            versions.append((number, is_young))
        return versions

    def _conflict(self, manifest: Manifest) -> PublishConflictError:
        return PublishConflictError(
            f"{self._remote.uri}: version {self.current_name()} is current, or about "
            f"to be followed by another writer's, and this one began from "
            f"{manifest.parent or 'nothing'}; nothing is lost, run the same command "
            f"again: finished shards are reused"
        )

    def _exists(self, path: str) -> bool:
        return bool(self._remote.info(path).type == fs.FileType.File)
