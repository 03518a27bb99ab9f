"""A stand-in for ModelArts' library: obs://NAME is a folder NAME below $MOXING_ROOT."""

import os
import shutil
import sys
import types
from pathlib import Path


def _path(url):
    name = str(url).removeprefix("obs://")
    return Path(os.environ["MOXING_ROOT"]) / name if name != str(url) else Path(url)


def copy(src_url, dst_url):
    target = _path(dst_url)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_path(src_url), f"{target}.part")
    Path(f"{target}.part").rename(target)


def copy_parallel(src_url, dst_url):
    shutil.copytree(_path(src_url), _path(dst_url), dirs_exist_ok=True)


def exists(url):
    return _path(url).exists()


def remove(url):
    _path(url).unlink()


def list_directory(url, recursive=False):
    folder = _path(url)
    paths = folder.rglob("*") if recursive else folder.glob("*")
    names = [p.relative_to(folder).as_posix() + "/" * p.is_dir() for p in paths]
    return [name if recursive else name.rstrip("/") for name in names]


file = types.SimpleNamespace(
    copy=copy,
    copy_parallel=copy_parallel,
    exists=exists,
    remove=remove,
    list_directory=list_directory,
)
sys.modules[__name__].file = file
