import resource

import pytest

from mindrecord_io.commands import plain_text


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Rolling something: \N{GREEK SMALL LETTER MU} 類", "Rolling something: μ 類"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        (
            "end\n11-26 01:02:03 I clipmill: forged",
            r"end\n11-26 01:02:03 I clipmill: forg",
        ),
        ("over\rwritten\0", r"over\rwritten\x00"),
        ("\x9b31m c1", r"\x9b31m c1"),
        ("\u202egpj.exe\u2066\u2028", r"\u202egpj.exe\u2066\u2028"),
        ("half \ud800 pair", r"half \ud800 pair"),
    ],
)
def test_a_text_becomes_one_harmless_line(text, line):
    made = plain_text.one_line(text)
    assert made.startswith(line)
    made.encode("utf-8")


def test_a_long_text_loses_its_middle():
    line = plain_text.one_line("a" * 5_000_000 + "b" * 5_000_000)
    assert len(line) < 4100
    assert line.startswith("aaa")
    assert line.endswith("bbb")
    assert " 9996000 characters left out " in line


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ValueError("no  clips\nhere"), "no clips here"),
        (RuntimeError(), "RuntimeError"),
        (FileNotFoundError("no file"), "no file"),
        (
            OSError(28, "No space left on device", "/d/f"),
            "/d/f: No space left on device",
        ),
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError(18, "Cross-device", "/a", None, "/b"), "/a: /b: Cross-device"),
        (OSError(2, None, b"/a"), "/a: No such file or directory"),
        (MemoryError(), "there is not enough memory (no more is known)"),
        (MemoryError("8 TiB"), "there is not enough memory (8 TiB)"),
        (
            ImportError("failed to map", name="apache_beam.coders.coder_impl"),
            "the library 'apache_beam' cannot be loaded (failed to map): install it, "
            "or what it needs, anew",
        ),
    ],
)
def test_an_error_becomes_a_sentence_with_its_files_name(error, sentence):
    assert plain_text.sentence(error) == sentence


@pytest.mark.parametrize(
    ("error", "limit", "sentence"),
    [
        (
            MemoryError(),
            2500 << 20,
            "there is not enough memory (ulimit -v allows 2500 MiB)",
        ),
        (
            MemoryError("8 TiB"),
            2500 << 20,
            "there is not enough memory (8 TiB; ulimit -v allows 2500 MiB)",
        ),
        (
            ImportError("failed to map", name="zstandard"),
            2500 << 20,
            "the library 'zstandard' cannot be loaded (failed to map; ulimit -v allows "
            "2500 MiB): install it, or what it needs, anew",
        ),
        (
            RuntimeError("can't start new thread"),
            2500 << 20,
            "can't start new thread: ulimit -v allows 2500 MiB; raise that, or take "
            "fewer workers",
        ),
        (
            RuntimeError("can't start new thread"),
            resource.RLIM_INFINITY,
            "can't start new thread: ulimit -u, or the container, allows no more; "
            "raise that, or take fewer workers",
        ),
    ],
)
def test_what_the_system_refuses_is_told_with_its_limit(
    error, limit, sentence, monkeypatch
):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    assert plain_text.sentence(error) == sentence


def test_a_library_of_one_file_that_we_import_is_not_taken_for_ours():
    ours = {"__name__": "mindrecord_io.of_ours"}
    with pytest.raises(ImportError) as caught:
        exec("raise ImportError('failed to map', name='one_file')", ours)
    assert not plain_text.is_our_own(caught.value)
    assert "the library 'one_file' cannot" in plain_text.sentence(caught.value)


@pytest.mark.parametrize(
    ("statement", "is_ours"),
    [
        ("from pipelines import nothing_such", True),
        ("import mindrecord_io.nothing_such", True),
        ("from numpy import nothing_such", False),
        ("import nothing_such", False),
    ],
)
def test_what_cannot_be_imported_of_ours_is_told_from_libraries(statement, is_ours):
    with pytest.raises(ImportError) as caught:
        exec(statement)
    assert plain_text.is_our_own(caught.value) == is_ours
