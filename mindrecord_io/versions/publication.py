"""Publishes versions of a data set on this machine: a rename, then CURRENT, last.

Writers lock each other out only while they publish: one that sees then that CURRENT has
moved on since it began gets a PublishConflictError, loses nothing (its shards are there
to be reused), and runs again.
"""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

from mindrecord_io import naming
from mindrecord_io.storage import files, incomplete, own_folders
from mindrecord_io.versions import manifests, opening
from mindrecord_io.versions.manifests import Manifest, PublishConflictError, Version

__all__ = ["publish", "staging_folder"]


@contextlib.contextmanager
def staging_folder(dataset: Path) -> Iterator[Path]:
    """Makes a folder for an unfinished version; removes it after the block.

    While it is there, prune removes nothing. It is made before a job looks at any
    shard, and in turn with prune: so no job finds shards that are about to go.
    """
    own_folders.check(dataset)
    versions = dataset / "versions"
    versions.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        with files.locked_directory(versions):
            staging = stack.enter_context(incomplete.folder_in(versions))
        yield staging


def publish(dataset: Path, folder: Path, manifest: Manifest) -> Version:
    """Publishes a folder of finished files as the newest version.

    Args:
      folder: incomplete; holds clips.parquet and labels/; the manifest is added here.
      manifest: its `parent` must still be the current version; its `version` is
        replaced by the name it gets.

    Raises:
      PublishConflictError: CURRENT is no longer `manifest.parent`.
      ForeignFolderError: a folder of the data set is a link.
    """
    # A rival between its rename and its CURRENT could not be told from one that died
    # there: so one at a time. Where locks are ignored, the check and the rename notice
    # every other rival.
    own_folders.check(dataset)
    versions = dataset / "versions"
    with files.locked_directory(versions):
        names = filter(naming.is_version_name, (p.name for p in versions.iterdir()))
        number = 1 + max(map(naming.version_number, names), default=0)
        if (opening.current_name(dataset) or "") != manifest.parent:
            raise _conflict(dataset, manifest)
        name = naming.version_name(number)
        published = dataclasses.replace(manifest, version=name)
        naming.manifest_path(folder).unlink(missing_ok=True)
        files.write_synced(naming.manifest_path(folder), manifests.encoded(published))
        try:
            files.publish_folder(folder, naming.version_folder(dataset, name))
        except FileExistsError as cause:
            raise _conflict(dataset, manifest) from cause
        files.replace_file(naming.current_path(dataset), f"{name}\n".encode())
    return Version(dataset, published)


def _conflict(dataset: Path, manifest: Manifest) -> PublishConflictError:
    return PublishConflictError(
        f"{dataset}: version {opening.current_name(dataset)} was published by another "
        f"process since this one began from {manifest.parent or 'nothing'}; nothing "
        f"is lost, run the same command again: finished shards are reused"
    )
