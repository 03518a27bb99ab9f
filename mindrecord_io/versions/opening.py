"""Opening a version wherever its data set is: on this machine or in an object store.

Of a remote version everything but the shards is copied into the cache's folder when it
is opened; its shards are fetched by who reads them (see shard_cache).
"""

import contextlib
import dataclasses
import hashlib
import logging
import shutil
import uuid
from pathlib import Path

from mindrecord_io import naming
from mindrecord_io.storage import files, locations, object_store, shard_cache
from mindrecord_io.versions import manifests

__all__ = ["open_version"]

logger = logging.getLogger(__name__)


def open_version(
    dataset: Path | str,
    version: str | None = None,
    *,
    cache: shard_cache.CacheSettings | None = None,
) -> manifests.Version:
    """Opens a version for reading, the newest published one by default.

    Args:
      dataset: a path, or the URI of a remote data set (see locations).
      cache: for remote shards, None for what the environment says.

    Raises:
      ManifestError: there is no such data set or version, or it is damaged.
      StorageError: the object store cannot be read.
      ValueError: `dataset` is neither path nor URI.
    """
    location = locations.location(str(dataset))
    if isinstance(location, Path):
        return manifests.open_version(location, version)
    remote = object_store.open_storage(location)
    settings = cache or shard_cache.CacheSettings.from_environment()
    name = version or _current_version(remote)
    folder = f"versions/{name}"
    try:
        naming.version_number(name)
        text = remote.read_bytes(f"{folder}/manifest.json")
    except (FileNotFoundError, ValueError) as cause:
        names = filter(naming.is_version_name, remote.list_names("versions"))
        raise manifests.ManifestError(
            f"{remote.uri}: no version {name}, there are {list(names)}"
        ) from cause
    # Under the manifest's hash: a data set that is written anew is another one.
    digest = hashlib.sha256(f"{remote.uri}\n".encode() + text).hexdigest()
    mirror = settings.folder.absolute() / "versions" / digest[:32]
    if not mirror.is_dir():
        _copy_version(remote, name, text, mirror)
    opened = manifests.open_version(mirror, name)
    shards = shard_cache.ShardCache(remote, settings)
    return dataclasses.replace(opened, uri=remote.uri, cache=shards)


def _current_version(remote: object_store.Storage) -> str:
    try:
        return remote.read_bytes("CURRENT").decode("ascii").strip()
    except FileNotFoundError as cause:
        raise manifests.ManifestError(
            f"{remote.uri}: no data set here, or none published yet (no CURRENT file)"
        ) from cause
    except UnicodeDecodeError as cause:
        raise manifests.ManifestError(
            f"{remote.uri}/CURRENT: does not name a version: {cause}"
        ) from cause


def _copy_version(
    remote: object_store.Storage, name: str, text: bytes, mirror: Path
) -> None:
    incomplete = mirror.with_name(f".incomplete-{uuid.uuid4().hex}")
    folder = naming.version_folder(incomplete, name)
    naming.labels_folder(folder).mkdir(parents=True)
    try:
        naming.manifest_path(folder).write_bytes(text)
        expected = manifests.open_version(incomplete, name).manifest.clips_table
        table = naming.clips_table_path(folder)

        def copy_table() -> None:
            remote.copy(f"versions/{name}/{table.name}", table)
            if files.fingerprint(table) != expected:
                raise OSError("it is not the file that was published")

        object_store.retried(
            copy_table, f"read {remote.uri}/versions/{name}/{table.name}"
        )
        category = naming.labels_folder(folder) / naming.CATEGORY_FILE
        path = category.relative_to(incomplete).as_posix()
        category.write_bytes(remote.read_bytes(path))
        with contextlib.suppress(FileExistsError):  # another process was faster
            files.publish_folder(incomplete, mirror)
    except FileNotFoundError as cause:
        raise manifests.ManifestError(
            f"{remote.uri}: version {name} is incomplete: {cause}"
        ) from cause
    finally:
        shutil.rmtree(incomplete, ignore_errors=True)
