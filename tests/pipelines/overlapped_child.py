"""A child process that answers a request in two parts: `python -m overlapped_child FD`.

The first part makes one file, the second waits for another.
"""

import importlib
import os
import time
from pathlib import Path

from pipelines.building import child_process


def _begin(request):
    if "exit" in request:
        os._exit(request["exit"])
    if "load_at_once" in request:
        importlib.import_module(request["load_at_once"])
    if "made" in request:
        Path(request["made"]).touch()

    def finish():
        awaited = request.get("awaited")
        while awaited is not None and not Path(awaited).exists():
            time.sleep(0.01)
        if "load" in request:
            importlib.import_module(request["load"])
        return {"said": request["text"]}, b""

    return finish


if __name__ == "__main__":
    child_process.serve_overlapped(_begin)
