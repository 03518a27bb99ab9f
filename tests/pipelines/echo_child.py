"""A child process that does as it is told: `python -m echo_child FD`."""

import importlib
import os
import signal
import subprocess
import sys
import time

from pipelines.building import child_process


def _answer(request):
    match request["do"]:
        case "echo":
            return {"said": request["text"]}, request["text"].encode()
        case "payload":
            return {}, bytes(range(256)) * request["num_kib"] * 4
        case "signal":
            os.kill(os.getpid(), signal.Signals[request["name"]])
        case "exit":
            os._exit(request["status"])
        case "load":
            importlib.import_module(request["name"])
        case "raise":
            raise LookupError("not today")
        case "sleep":
            time.sleep(request["seconds"])
        case "print":
            os.write(1, b"written\n")
            print("printed", flush=True)  # noqa: T201
        case "send":
            os.write(int(sys.argv[1]), bytes.fromhex(request["hex"]))
            time.sleep(1000)
        case "spawn":
            return {"pid": subprocess.Popen(["sleep", "1000"]).pid}, b""
        case "environment":
            return {"value": os.environ.get(request["name"]), "path": sys.path}, b""
    return {}, b""


if __name__ == "__main__":
    child_process.serve(_answer)
