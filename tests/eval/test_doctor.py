"""What `clipmill doctor` prints, and what it leaves alone."""

import json
import subprocess
import sys

from eval import doctor

CODE = """
import sys
from mindrecord_io.commands import log_lines
from pipelines import __main__
log_lines.configure()
status = __main__.main(["doctor"])
loaded = {"apache_beam", "mindspore", "torch"} & sys.modules.keys()
print(status, sorted(loaded))
"""


def test_it_prints_what_there_is_and_loads_none_of_it():
    run = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=True
    )
    *_, line, last = run.stdout.splitlines()
    assert last == "0 []"
    result = json.loads(line)
    assert result["python"].endswith(sys.executable)
    assert result["packages"]["mindspore"].startswith("2.9")
    assert result["devices"].startswith("CPU")
    assert result["ffmpeg"]
    assert result["free_gib"] > 0
    assert "needs CUDA 11.1 or 11.6, an Ascend CANN" in run.stderr


def test_what_is_missing_is_named_with_what_needs_it(monkeypatch, caplog):
    versions = {"apache-beam": None, "torch": None}
    monkeypatch.setattr(doctor, "_version", lambda name: versions.get(name, "1.0"))
    monkeypatch.setattr(doctor, "_ffmpeg_path", lambda: None)
    assert doctor.main([]) == 1
    lines = [r.getMessage() for r in caplog.records if r.levelname == "ERROR"]
    assert lines == [
        "missing: apache-beam, for build, relabel, verify",
        "missing: ffmpeg, for synthesize",
    ]
    assert doctor.examine().missing.keys() == {"apache-beam", "torch", "ffmpeg"}
