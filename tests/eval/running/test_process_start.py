import subprocess
import sys

import pytest

from eval.running import process_start

SHOW = "import os; print(os.environ['ONEDNN_MAX_CPU_ISA'], 'mindspore' in sys.modules)"


@pytest.mark.parametrize(("given", "used"), [(None, "AVX2"), ("SSE41", "SSE41")])
def test_convolutions_are_chosen_before_mindspore_is_there(monkeypatch, given, used):
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA")
    if given:
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", given)
    code = "import sys; from eval.running import process_start as p; "
    code += "p.prepare_mindspore(); "
    run = subprocess.run(
        [sys.executable, "-c", code + SHOW], capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == [used, "False"]


def test_importing_it_changes_nothing(monkeypatch):
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA")
    code = "import os; from eval.running import process_start; print(len(os.environ))"
    bare = "import os; print(len(os.environ))"
    lengths = {
        subprocess.run(
            [sys.executable, "-c", each], capture_output=True, check=True
        ).stdout
        for each in (code, bare)
    }
    assert len(lengths) == 1


def test_being_too_late_is_an_error(monkeypatch):
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA")
    monkeypatch.setitem(sys.modules, "mindspore", sys)
    with pytest.raises(RuntimeError, match="was imported before"):
        process_start.prepare_mindspore()
