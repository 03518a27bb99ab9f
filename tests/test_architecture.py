"""The rules of the README's architecture part, read off every file's imports."""

import ast
import functools
import re
import sys
from pathlib import Path, PurePosixPath

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
MAX_LINES = 400

MAY_IMPORT = {
    "mindrecord_io": {"mindrecord_io"},
    "model": {"model"},
    "pipelines": {"pipelines", "mindrecord_io"},
    "eval": {"eval", "model", "mindrecord_io"},
    "train": {"train", "eval", "model", "mindrecord_io"},
}
OUR_OWN = {*MAY_IMPORT, "infra", "tests"}

# A clip that a network is asked about is decoded as those it was trained with, in a
# child process; the page of a training is drawn as that of a version. These parts of
# `pipelines` need neither Beam nor MindSpore.
DOORS_BETWEEN_PACKAGES = {
    "eval/pages.py": "jobs.run_report",
    "eval/video_files.py": "building.killable_decoder ffmpeg quarantine "
    "sources.frame_folders",
}

ROOMS_MAY_IMPORT = {
    "pipelines/jobs": "browse building planning publishing report sources synthetic",
    "pipelines/browse": "report",
    "pipelines/building": "decoding planning publishing sources",
    "pipelines/planning": "sources",
    "pipelines/decoding": "sources",
    "pipelines/sources": "",
    "pipelines/publishing": "",
    "pipelines/report": "",
    "pipelines/synthetic": "",
    "mindrecord_io/commands": "storage",
    "mindrecord_io/serving": "versions shards storage",
    "mindrecord_io/versions": "shards storage",
    "mindrecord_io/shards": "storage",
    "mindrecord_io/storage": "",
}
"""Which rooms of its own package a room may import; no row names a room above itself.

Every room may import the files beside the rooms (the hall). Those import no room, but
for the doors.
"""

ROOMED = {"pipelines", "mindrecord_io"}
DOORS = [
    "pipelines/__main__.py",
    "mindrecord_io/__init__.py",
]

MAY_BE_IMPORTED_BY = {
    "apache_beam": ["pipelines/building/*"],
    "av": ["pipelines/decoding/*"],
    "cv2": [
        "mindrecord_io/serving/frames.py",
        "pipelines/building/decoder_child.py",
        "pipelines/decoding/*",
        "pipelines/report/clip_samples.py",
        "pipelines/synthetic/*",
    ],
    "ffmpeg": [
        "pipelines/decoding/second_opinion.py",
        "pipelines/synthetic/webm_writer.py",
    ],
    "grpc": ["pipelines/building/flink_submission.py"],
    "imageio_ffmpeg": ["pipelines/ffmpeg.py"],
    "mindspore": [
        "eval/*",
        "eval/device/*",
        "eval/running/rank_group.py",
        "mindrecord_io/serving/reader.py",
        "mindrecord_io/shards/row_reading.py",
        "model/*",
        "train/*",
    ],
    "numpy": ["*/*", "*/*/*"],
    "onnx": ["eval/device/onnx_states.py"],
    "onnxruntime": ["eval/device/runners.py"],
    "obstore": [
        "mindrecord_io/storage/range_store.py",
        "mindrecord_io/storage/wide_listing.py",
    ],
    "pyarrow": ["eval/*", "mindrecord_io/*/*", "pipelines/*/*"],
    "safetensors": ["model/weight*.py"],
    "simplejpeg": [
        "mindrecord_io/serving/frames.py",
        "mindrecord_io/serving/pixel_hashes.py",
        "mindrecord_io/serving/whole_clips.py",
        "pipelines/decoding/frame_folder_clips.py",
    ],
    "starlette": ["pipelines/browse/*"],
    "tensorboardX": ["train/watch.py"],
    "torch": ["model/weight_files.py"],
    "tqdm": ["mindrecord_io/commands/progress_bar.py"],
    "uvicorn": ["pipelines/browse/server.py"],
    "yaml": ["eval/running/yaml_files.py", "pipelines/report/data_card.py"],
}
"""Every library that the packages use; all of them are in setup.py and the README."""

DISTRIBUTIONS = {
    "apache_beam": "apache-beam",
    "cv2": "opencv-python-headless",
    "ffmpeg": "ffmpeg-python",
    "grpc": "grpcio",
    "imageio_ffmpeg": "imageio-ffmpeg",
    "yaml": "PyYAML",
}

MAY_IMPORT_BY_NAME = {
    "pipelines/__main__.py": "`clipmill`: any job, also of eval and train",
    "eval/__main__.py": "a tool of eval",
    "eval/zoo/modelarts.py": "moxing, a library of ModelArts alone",
    "pipelines/building/beam_flags.py": "the runner that --runner names",
    "pipelines/building/shard_child.py": "MindSpore's part, once the process is set up",
    "mindrecord_io/__init__.py": "a name, once a user's program wants it",
}
"""What is loaded at run time, and so is in no table above."""

UNSAFE_MODULES = {"cPickle", "cloudpickle", "dill", "joblib", "marshal", "pickle"}
UNSAFE_MODULES |= {"_pickle", "shelve"}
UNSAFE_ARGUMENTS = {"allow_pickle", "shell"}
UNSAFE_CALLS = {"os.system", "os.popen", "subprocess.getoutput"}
UNSAFE_CALLS |= {"subprocess.getstatusoutput"}


@functools.cache
def python_files(*folders):
    """The paths below the repository of all Python files in some of its folders."""
    return [
        PurePosixPath(path.relative_to(REPOSITORY).as_posix())
        for folder in folders
        for path in sorted((REPOSITORY / folder).rglob("*.py"))
    ]


PACKAGE_FILES = python_files(*MAY_IMPORT)
ALL_FILES = python_files(*MAY_IMPORT, "infra", "tests")


@functools.cache
def syntax(path):
    return ast.parse((REPOSITORY / path).read_bytes(), filename=str(path))


def imported_for_types(path):
    """The nodes of a file that only a type checker runs."""
    blocks = [n for n in ast.walk(syntax(path)) if isinstance(n, ast.If)]
    typed = [
        n for b in blocks if ast.unparse(b.test) == "TYPE_CHECKING" for n in b.body
    ]
    return {node for part in typed for node in ast.walk(part)}


@functools.cache
def imports(path, *, when_run=False):
    """Dotted names that a file imports, wherever in it: of `from a import b` both
    "a" and "a.b", as b may be a module. `when_run`: without those for types alone.
    """
    names = set()
    skipped = imported_for_types(path) if when_run else set()
    for node in set(ast.walk(syntax(path))) - skipped:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            names |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def libraries(path, *, when_run=False):
    return {name.partition(".")[0] for name in imports(path, when_run=when_run)}


def file_of(module):
    """The file of one of our modules; None for what is not ours or not a module."""
    base = PurePosixPath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if base.parts[0] in MAY_IMPORT and (REPOSITORY / path).is_file():
            return path
    return None


def loaded_by(path):
    """All libraries in the process once a file and all that it imports are loaded."""
    found, seen, waiting = set(), {path}, [path]
    while waiting:
        current = waiting.pop()
        found |= libraries(current, when_run=True)
        names = imports(current, when_run=True)
        files = set(map(file_of, names)) - {None} - seen
        seen |= files
        waiting += files
    return found


def by_file(paths, find):
    """What `find` finds in each file, without the files where it finds nothing."""
    return {str(path): found for path in paths if (found := find(path))}


def imported_packages(path, names):
    """Those that a file may not import, of what these dotted names are of."""
    modules = DOORS_BETWEEN_PACKAGES.get(str(path), "").split()
    doors = [f"pipelines.{m}." for m in modules]
    through = {n for n in names for d in doors if d.startswith(f"{n}.") or d in n + "."}
    return {n.partition(".")[0] for n in names - through} - MAY_IMPORT[path.parts[0]]


def test_packages_import_only_those_of_ours_that_they_may():
    def forbidden(path):
        return OUR_OWN & imported_packages(path, imports(path))

    assert by_file(PACKAGE_FILES, forbidden) == {}


def room_of(path):
    """The room that a file of a package is in; None beside the rooms."""
    room = path.parent.as_posix()
    return room if room in ROOMS_MAY_IMPORT else None


def walls_crossed(path, names):
    """The rooms that a file at `path` may not import, of those that `names` lead to."""
    rooms = {
        room_of(f) for f in map(file_of, names) if f and f.parts[0] == path.parts[0]
    }
    home = room_of(path)
    allowed = ROOMS_MAY_IMPORT[home].split() if home else []
    return rooms - {None, home, *(f"{path.parts[0]}/{room}" for room in allowed)}


def test_rooms_import_only_the_rooms_below_them_that_they_may():
    files = [path for path in PACKAGE_FILES if str(path) not in DOORS]
    assert by_file(files, lambda path: walls_crossed(path, imports(path))) == {}


@pytest.mark.parametrize(
    ("path", "name", "crossed"),
    [
        ("pipelines/decoding/libav.py", "pipelines.jobs.build", {"pipelines/jobs"}),
        ("pipelines/ffmpeg.py", "pipelines.sources", {"pipelines/sources"}),
        (
            "mindrecord_io/storage/files.py",
            "mindrecord_io.versions.manifests",
            {"mindrecord_io/versions"},
        ),
        ("pipelines/jobs/build.py", "pipelines.building.receipts", set()),
        ("pipelines/decoding/libav.py", "pipelines.quarantine", set()),
        ("pipelines/decoding/libav.py", "mindrecord_io.shards.schema", set()),
    ],
)
def test_an_import_that_crosses_a_wall_is_seen(path, name, crossed):
    assert walls_crossed(PurePosixPath(path), [name]) == crossed


def test_every_folder_of_a_package_is_a_room_and_no_row_leads_back():
    folders = {p.parent.as_posix() for p in PACKAGE_FILES if p.parts[0] in ROOMED}
    assert folders - ROOMED == set(ROOMS_MAY_IMPORT)
    order = list(ROOMS_MAY_IMPORT)
    for room, below in ROOMS_MAY_IMPORT.items():
        package = room.partition("/")[0]
        for other in below.split():
            assert order.index(f"{package}/{other}") > order.index(room)


def test_no_file_imports_itself_by_way_of_others():
    graph = {
        path: {file_of(name) for name in imports(path)} - {None, path}
        for path in PACKAGE_FILES
        if path.name != "__init__.py"
    }
    while leaves := [path for path in graph if not graph[path] & graph.keys()]:
        for path in leaves:
            del graph[path]
    assert set(graph) == set()


def test_libraries_are_imported_only_where_they_may_be():
    def forbidden(path):
        return {
            library
            for library in libraries(path) - OUR_OWN - sys.stdlib_module_names
            if not any(path.match(p) for p in MAY_BE_IMPORTED_BY.get(library, ()))
        }

    assert by_file(PACKAGE_FILES, forbidden) == {}


def test_few_files_import_by_name():
    def by_name(path):
        return "import_module(" in (REPOSITORY / path).read_text()

    assert by_file(PACKAGE_FILES, by_name).keys() == MAY_IMPORT_BY_NAME.keys()


def test_setup_lists_the_packages_and_the_libraries():
    (call,) = (n for n in ast.walk(syntax(PurePosixPath("setup.py"))) if is_setup(n))
    arguments = {k.arg: ast.literal_eval(k.value) for k in call.keywords}
    packages = {str(path.parent).replace("/", ".") for path in PACKAGE_FILES}
    packages |= {"infra.configs"}  # it has files, but no code
    assert set(arguments["packages"]) == packages
    extras = [r for rs in arguments["extras_require"].values() for r in rs]
    requirements = arguments["install_requires"] + extras
    distributions = {re.split("[<>=]", r)[0] for r in requirements}
    assert distributions >= {DISTRIBUTIONS.get(x, x) for x in MAY_BE_IMPORTED_BY}


def is_setup(node):
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "setup"


def test_no_module_brings_beam_and_mindspore_into_one_process():
    def both(path):
        return {"apache_beam", "mindspore"} <= loaded_by(path)

    assert by_file(PACKAGE_FILES, both) == {}


def test_imports_are_absolute():
    def relative(path):
        return {name for name in imports(path) if name.startswith(".")}

    assert by_file(ALL_FILES, relative) == {}


def test_no_import_hides_the_builtin_eval():
    def hiding(path):
        nodes = [n for n in ast.walk(syntax(path)) if isinstance(n, ast.Import)]
        return [n.lineno for n in nodes for a in n.names if bound_name(a) == "eval"]

    assert by_file(ALL_FILES, hiding) == {}


def bound_name(alias):
    return alias.asname or alias.name.partition(".")[0]


def test_nothing_is_pickled():
    assert by_file(ALL_FILES, lambda path: libraries(path) & UNSAFE_MODULES) == {}


def test_no_argument_or_call_opens_a_shell_or_a_pickle():
    def unsafe(path):
        calls = [n for n in ast.walk(syntax(path)) if isinstance(n, ast.Call)]
        return [call.lineno for call in calls if is_unsafe(call)]

    assert by_file(ALL_FILES, unsafe) == {}


def is_unsafe(call):
    named = {k.arg for k in call.keywords if ast.unparse(k.value) != "False"}
    return bool(named & UNSAFE_ARGUMENTS) or ast.unparse(call.func) in UNSAFE_CALLS


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("subprocess.run('ls', shell=True)", True),
        ("subprocess.run(['ls'], shell=is_shell)", True),
        ("subprocess.run(['ls'], shell=False)", False),
        ("np.load(path, allow_pickle=True)", True),
        ("np.load(path)", False),
        ("os.system('ls')", True),
    ],
)
def test_what_counts_as_unsafe(code, expected):
    assert is_unsafe(ast.parse(code, mode="eval").body) is expected


def test_files_can_be_read_in_one_sitting():
    def excess(path):
        return max(0, len((REPOSITORY / path).read_text().splitlines()) - MAX_LINES)

    assert by_file(ALL_FILES, excess) == {}
