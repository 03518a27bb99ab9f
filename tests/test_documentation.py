"""What the READMEs say can be followed: links, command lines, their own budgets."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PAGES = sorted(
    page
    for pattern in ("*.md", "*/*.md", "*/*/*.md")
    for page in REPOSITORY.glob(pattern)
    if not page.relative_to(REPOSITORY).parts[0].startswith((".", "demo", "build"))
)
MAX_LINES = {
    "README.md": 120,
    "pipelines/README.md": 172,
    "mindrecord_io/README.md": 110,
    "model/README.md": 60,
    "train/README.md": 80,
    "eval/README.md": 50,
    "infra/README.md": 60,
    "infra/RESULTS.md": 90,
    "tests/README.md": 60,
}
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)|src=\"([^\"]+)\"")
SPAN = re.compile(r"`([^`\n]+)`")
PROGRAM = re.compile(
    r"(?:clipmill|python -m (?:pipelines (?=[a-z])|train|eval|infra)\S*)(?: |$)"
)


def name_of(page):
    return page.relative_to(REPOSITORY).as_posix()


def anchors(page):
    """The places of a page that a link can lead to, as GitHub names them."""
    text = page.read_text()
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    slugs = (re.sub(r"<[^>]*>|[^\w\- ]", "", h).strip().lower() for h in headings)
    explicit = re.findall(r'id="([^"]+)"', text)
    return {slug.replace(" ", "-") for slug in slugs} | set(explicit)


def broken_links(page):
    links = [first or second for first, second in LINK.findall(page.read_text())]
    broken = []
    for link in links:
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if link.startswith(("http://", "https://")):
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    return broken


def command_lines(text):
    """The lines of code blocks and the code spans that run one of the programs.

    A span may leave out flags that are required, which "..." says.
    """
    joined = text.replace("\\\n", " ")
    blocks = [line.strip() for line in joined.splitlines() if line.startswith("    ")]
    spans = [f"{span} ..." for span in SPAN.findall(joined)]
    lines = []
    for line in blocks + spans:
        code = line.partition("  #")[0].partition("$(")[0]
        begin = code.find("python -m") if code.startswith("msrun") else 0
        words = code[begin:].split()
        if PROGRAM.match(code[begin:]) and "JOB" not in words:
            lines.append(" ".join(words))
    return lines


def complaints(lines):
    """What is wrong with each of some lines, by line; parsed without running any."""
    wrong = {}
    for of_pipelines in (True, False):
        some = [n for n in lines if _runs_pipelines(n) == of_pipelines]
        output = subprocess.run(
            [sys.executable, REPOSITORY / "tests" / "documented_commands.py"],
            input=json.dumps(some),
            check=True,
            capture_output=True,
            text=True,
            cwd=REPOSITORY,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        ).stdout
        found = zip(some, json.loads(output.splitlines()[-1]), strict=True)
        wrong |= {line: why for line, why in found if why}
    return wrong


def _runs_pipelines(line):
    tools = ("train", "eval", "infer", "export", "import_weights")
    words = line.split()
    if words[0] == "clipmill":
        return words[1:2] not in [[tool] for tool in tools]
    return words[2].startswith("pipelines")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page):
    assert broken_links(page) == []


def test_every_command_line_is_understood_by_its_program():
    lines = sorted({line for page in PAGES for line in command_lines(page.read_text())})

    assert len(lines) > 20
    assert complaints(lines) == {}


@pytest.mark.parametrize(
    "planted",
    [
        "clipmill build --clip DIR --annotations DIR --dataset DATASET",
        "clipmill biuld --clips DIR --annotations DIR --dataset DATASET",
        "python -m pipelines verify --dataset DATASET --fast",
        "python -m train --config_path F --dataset D --output O --learning_rat 1",
        "clipmill infer --dataset D --checkpoint CKPT --clip 7",
        "python -m infra.benchmarks.build --num_clip 7",
    ],
)
def test_a_wrong_word_in_a_command_line_is_noticed(planted):
    assert command_lines(f"Run\n\n    {planted}\n\n") == [planted]
    assert command_lines(f"Run `{planted}`.") == [f"{planted} ..."]
    assert list(complaints([planted])) == [planted]


def test_a_link_that_leads_nowhere_is_noticed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A\n[a](#a) [b](gone.py) [c](page.md#b) [d](https://x.org/y)")

    assert broken_links(page) == ["gone.py", "page.md#b"]


def test_every_target_of_make_that_is_named_exists():
    makefile = (REPOSITORY / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = {
        target
        for page in PAGES
        for target in re.findall(r"(?:`|^    )make ([a-z-]+)", page.read_text(), re.M)
    }

    assert {"demo", "test"} <= named <= targets


def test_what_a_page_says_a_file_has_is_there():
    """The pages write `NAME` in [file](path) where something is to be added."""
    named = [
        (page, name, page.parent / path)
        for page in PAGES
        for name, path in re.findall(
            r"`(\w+)` in \[[^\]]*\]\(([^)#]+)\)", page.read_text()
        )
    ]

    assert len(named) >= 4
    assert [name for _, name, path in named if name not in path.read_text()] == []


@pytest.mark.parametrize("name", MAX_LINES)
def test_a_page_keeps_its_length(name):
    lines = (REPOSITORY / name).read_text().splitlines()

    assert len(lines) <= MAX_LINES[name]


def test_the_first_page_can_be_read_to_its_end():
    assert len((REPOSITORY / "README.md").read_text().split()) <= 900


def test_a_clip_is_walked_through_at_most_twenty_files():
    text = (REPOSITORY / "pipelines" / "README.md").read_text()
    walk = text.partition("## The walk")[2].partition("\n## ")[0]
    stations = {first for first, _ in LINK.findall(walk)}

    assert 10 <= len(stations) <= 20
    assert all(station.endswith(".py") for station in stations)
