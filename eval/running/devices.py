"""Which devices this machine has, seen without loading MindSpore."""

import importlib.util
from importlib import metadata
from pathlib import Path

__all__ = ["check", "count", "describe_lack", "describe_machine", "needed"]

_DEVICE_FILES = {"GPU": "nvidia[0-9]*", "Ascend": "davinci[0-9]*"}
_NAMES = {"GPU": "NVIDIA GPU", "Ascend": "Ascend NPU"}
_CANN = "CANN 8.2, 8.3, 8.5 or 9.0"  # mindspore/run_check/_check_version.py of 2.9


def count(device_target: str, folder: Path = Path("/dev")) -> int:
    """Returns how many devices of a kind there are; one processor counts as one."""
    if device_target not in _DEVICE_FILES:
        return 1
    return len(list(folder.glob(_DEVICE_FILES[device_target])))


def describe_machine(folder: Path = Path("/dev")) -> str:
    """Returns the devices of this machine as text: "CPU, 2 x NVIDIA GPU"."""
    counts = {name: count(kind, folder) for kind, name in _NAMES.items()}
    others = [f"{number} x {name}" for name, number in counts.items() if number]
    return ", ".join(["CPU", *others])


def needed(device_target: str) -> str:
    """Returns what MindSpore needs for a kind of device: "CUDA 11.1 or 11.6"."""
    if device_target == "Ascend":
        return _CANN
    spec = importlib.util.find_spec("mindspore")
    folders = spec.submodule_search_locations if spec else None
    plugins = Path(next(iter(folders))) / "lib" / "plugin" if folders else Path("none")
    prefix = "libmindspore_gpu.so."
    versions = sorted(p.name.removeprefix(prefix) for p in plugins.glob(f"{prefix}*"))
    return f"CUDA {' or '.join(versions)}" if versions else "a MindSpore built for it"


def check(device_target: str, folder: Path = Path("/dev")) -> None:
    """Checks that there is a device of a kind.

    Raises:
      config_file.ConfigError: there is none.
    """
    if not count(device_target, folder):
        from eval.running import config_file  # PyYAML, which doctor does without

        raise config_file.ConfigError(describe_lack(device_target, folder))


def describe_lack(device_target: str, folder: Path = Path("/dev")) -> str:
    """Returns what this machine has, and what it lacks for a kind of device."""
    return (
        f"device_target is {device_target}, and this machine has "
        f"{describe_machine(folder)}: "
        f"MindSpore {_mindspore_version()} needs {needed(device_target)} and a driver "
        f"for {_NAMES.get(device_target, device_target)}; --device_target CPU runs "
        f"without"
    )


def _mindspore_version() -> str:
    try:
        return metadata.version("mindspore")
    except metadata.PackageNotFoundError:
        return "is not installed and"
