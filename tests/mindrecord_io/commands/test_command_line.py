import dataclasses
import io
import json
import logging
import sys
from pathlib import Path

import pytest

from mindrecord_io.commands import command_line, elapsed, log_lines


@dataclasses.dataclass(frozen=True)
class Result:
    steps: int


@pytest.fixture
def parser():
    parser = command_line.CommandParser(
        "job", "Does it.", example="--dataset d", notes="Also. " * 30
    )
    command_line.add_dataset(parser)
    command_line.add_version(parser)
    command_line.add_num_workers(parser, "at once")
    command_line.add_dry_run(parser)
    parser.add_argument("--size", type=float, default=0.5, help="how much")
    parser.add_argument("--words", nargs="+", default=(), help="which")
    return parser


def refusal(capsys, parser, *words):
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(words)
    assert ended.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()[-1].removeprefix("clipmill job: error: ")


def test_help_names_the_defaults_that_say_something_and_ends_with_an_example(
    capsys, parser
):
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(["--help"])

    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith("usage: clipmill job ")
    assert "how much (default: 0.5)" in shown
    assert shown.count("(default: ") == 2  # that, and --num_workers
    assert shown.endswith("\n\nexample:\n  clipmill job --dataset d\n")
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (
            ["--datset", "d"],
            "the following arguments are required: --dataset; did you mean --dataset "
            "for --datset?",
        ),
        (
            ["--dataset", "d", "--dryrun", "--vresion=3"],
            "unrecognized arguments: --dryrun --vresion=3; did you mean --dry_run for "
            "--dryrun, --version for --vresion?",
        ),
        (["--dataset", "d", "--xyzzy"], "unrecognized arguments: --xyzzy"),
        (["--dataset", "d", "--num_work=1"], "unrecognized arguments: --num_work=1; d"),
        (["--dataset", "~no-such-user/d"], "argument --dataset: '~no-such-user/d' beg"),
        (["--dataset="], "argument --dataset: must be a path, got ''"),
        (["--dataset", "ftp://d"], "argument --dataset: a data set is a path or one"),
        (
            ["--dataset", "a/d/versions/000003/"],
            "argument --dataset: a/d/versions/000003/ is a version: give its data set, "
            "--dataset a/d, and --version 000003 where the command has that flag",
        ),
        (
            ["--dataset", "s3://b/d/versions/000003"],
            "argument --dataset: s3://b/d/versions/000003 is a version: give its data "
            "set, --dataset s3://b/d, and --version 000003",
        ),
        (["--dataset", "versions/000003"], "argument --dataset: versions/000003 is a"),
    ],
)
def test_wrong_flags_are_explained(capsys, parser, words, complaint):
    assert refusal(capsys, parser, *words).startswith(complaint)


def test_no_path_of_a_refusal_repeats_a_secret(capsys, parser):
    assert "secret" not in refusal(capsys, parser, "--dataset", "s3://id:secret@b/a")


@pytest.mark.parametrize(
    ("text", "name"),
    [("000003", "000003"), ("3", "000003"), ("03", "000003"), ("1234567", "1234567")],
)
def test_a_version_is_named_or_numbered(parser, text, name):
    assert parser.parse_args(["--dataset", "d", "--version", text]).version == name


@pytest.mark.parametrize("text", ["0", "-1", "x", "", "3.0", "000000", "\u0663"])
def test_other_versions_are_refused(capsys, parser, text):
    assert refusal(capsys, parser, "--dataset", "d", f"--version={text}") == (
        "argument --version: a version is named like '000003', or by its number, got "
        f"{text!r}"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data/ssv2", Path("data/ssv2")),
        ("~/ssv2", Path.home() / "ssv2"),
        ("file:///ssv2", Path("/ssv2")),
        ("s3://bucket/ssv2/", "s3://bucket/ssv2"),
        ("gs://bucket/ssv2", "gs://bucket/ssv2"),
    ],
)
def test_a_data_set_is_a_path_or_a_uri(parser, text, expected):
    assert parser.parse_args(["--dataset", text]).dataset == expected


def test_what_a_value_refuses_is_wrong_usage(capsys, parser):
    def refuse(size):
        raise ValueError(f"size cannot be {size}")

    with pytest.raises(SystemExit) as ended:
        parser.make(refuse, size=3)
    assert ended.value.code == 2
    assert capsys.readouterr().err.endswith("error: size cannot be 3\n")
    assert parser.make(Result, 4) == Result(4)


def test_the_result_is_one_line_of_json(capsys):
    assert command_line.run("job", lambda: Result(3)) == 0
    assert capsys.readouterr().out == '{"steps": 3}\n'


def test_no_result_prints_nothing(capsys):
    assert command_line.run("job", lambda: None) == 0
    assert capsys.readouterr().out == ""


def test_lines_for_people_come_before_the_result_and_give_the_status(capsys):
    def finish(result):
        sys.stdout.write("for people\n")
        return result.steps

    assert command_line.run("job", lambda: Result(1), finish) == 1
    assert capsys.readouterr().out == 'for people\n{"steps": 1}\n'


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (LookupError("epochs must be int"), 2, "job: epochs must be int"),
        (ValueError("no clips"), 1, "job failed: no clips"),
        (FileNotFoundError("no file"), 1, "job failed: no file"),
        (RuntimeError("the loss is nan"), 1, "job failed: the loss is nan"),
    ],
)
def test_an_error_is_a_line_and_a_status(error, status, line, capsys, caplog):
    def fail():
        raise error

    with caplog.at_level(logging.INFO):
        found = command_line.run("job", fail, usage_errors=(LookupError,))
    assert found == status
    assert [record.getMessage() for record in caplog.records] == [line]
    assert capsys.readouterr().out == ""


def test_a_line_for_people_is_made_harmless_too(capsys):
    command_line.print_line("made \x1b]0;title\x07")
    assert capsys.readouterr().out == "made \\x1b]0;title\\x07\n"


@dataclasses.dataclass(frozen=True)
class Timed:
    seconds: float
    steps: int = 3


def test_the_seconds_are_those_of_the_whole_command(capsys, monkeypatch):
    monkeypatch.setattr(elapsed, "seconds", lambda: 19.24)
    assert command_line.run("job", lambda: Timed(11.3)) == 0
    assert capsys.readouterr().out == '{"seconds": 19.2, "steps": 3}\n'


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def on_a_terminal(monkeypatch):
    """Returns a function that makes a terminal of standard output, and returns it."""

    def begin():  # in the test itself: before it standard output is replaced once more
        terminal = Terminal()
        monkeypatch.setattr(sys, "stdout", terminal)
        return terminal

    return begin


def test_on_a_terminal_the_result_is_a_summary(on_a_terminal, monkeypatch):
    monkeypatch.setattr(elapsed, "seconds", lambda: 19.24)
    terminal = on_a_terminal()
    assert command_line.run("job", lambda: Timed(11.3), lambda _: 1) == 1
    assert terminal.getvalue() == "job took 19.2 s, exit status 1\n  steps  3\n"


def test_on_a_terminal_json_is_a_flag_of_every_command(on_a_terminal, parser):
    terminal = on_a_terminal()
    parser.parse_args(["--dataset", "d", "--json"])
    assert command_line.run("job", lambda: Result(3)) == 0
    parser.parse_args(["--dataset", "d"])
    assert command_line.run("job", lambda: Result(3)) == 0
    json, *summary = terminal.getvalue().splitlines()
    assert json == '{"steps": 3}'
    assert summary[-1] == "  steps  3"


def test_flags_about_the_output_are_no_options_of_the_job(parser, monkeypatch):
    monkeypatch.setattr(log_lines, "show_libraries", lambda: None)
    plain = vars(parser.parse_args(["--dataset", "d"]))
    assert vars(parser.parse_args(["--dataset", "d", "--json", "--verbose"])) == plain
    parser.parse_args(["--dataset", "d"])


class Listed:
    def to_json(self):
        return {"names": ["a", "b"]}

    def to_lines(self):
        return ["* a", "  b\x1b[2J"]


def test_a_list_has_its_own_lines_and_no_summary(capsys, on_a_terminal):
    assert command_line.run("job", Listed) == 0
    listed = "* a\n  b\\x1b[2J\n"
    assert capsys.readouterr().out == listed + '{"names": ["a", "b"]}\n'
    terminal = on_a_terminal()
    assert command_line.run("job", Listed) == 0
    assert terminal.getvalue() == listed


def test_each_of_many_results_is_json_or_lines(capsys, on_a_terminal):
    command_line.print_row(Result(3), lambda row: [f"{row.steps} steps"])
    assert capsys.readouterr().out == '{"steps": 3}\n'
    terminal = on_a_terminal()
    command_line.print_row(Result(3), lambda row: [f"{row.steps} steps"])
    assert terminal.getvalue() == "3 steps\n"


def test_too_little_memory_is_a_sentence(caplog):
    def fail():
        raise MemoryError("8 TiB")

    assert command_line.run("job", fail) == 1
    (record,) = caplog.records
    assert record.getMessage() == "job failed: there is not enough memory (8 TiB)"


def test_a_defect_of_ours_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        command_line.run("job", lambda: 1 / 0)


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (command_line.positive_int, "1", 1),
        (command_line.positive_int, "042", 42),
        (command_line.non_negative_int, "0", 0),
        (command_line.non_negative_int, "7", 7),
    ],
)
def test_whole_numbers_are_read(read, text, value):
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "minimum", "text"),
    [
        (command_line.positive_int, 1, "0"),
        (command_line.positive_int, 1, "-3"),
        (command_line.positive_int, 1, "1.5"),
        (command_line.positive_int, 1, ""),
        (command_line.positive_int, 1, "\N{ARABIC-INDIC DIGIT FIVE}"),
        (command_line.non_negative_int, 0, "-1"),
        (command_line.non_negative_int, 0, "few"),
        (command_line.non_negative_int, 0, "--1"),
        (command_line.non_negative_int, 0, "1_0"),
    ],
)
def test_other_words_are_no_numbers(read, minimum, text):
    with pytest.raises(
        Exception, match=f"^must be a whole number of at least {minimum}, got '{text}'$"
    ):
        read(text)


def test_a_result_repeats_no_megabytes_of_what_a_file_says(capsys):
    result = {"why": ["short", "x" * 1_000_000], "num": 10**30}
    assert command_line.run("count", lambda: result) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["why"][0] == "short"
    assert "996000 characters left out" in result["why"][1]
    assert result["num"] == 10**30
