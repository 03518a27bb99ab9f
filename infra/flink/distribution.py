"""Flink's jars, Beam's and the translation's, in one folder: what the JVMs load.

Flink comes from PyPI's apache-flink-libraries (pinned by hash), which has the jars of
the distribution but not its scripts. Beam's Java half comes from Maven Central (pinned
by version, checked by Maven). The translation of Beam's pipelines beside this file, for
where Beam's own job server for Flink cannot be had, is compiled against both.
What is there already is not fetched again.
"""

import logging
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

__all__ = ["RUNNER_JAR", "DistributionError", "ensure", "run"]

logger = logging.getLogger(__name__)

HERE = Path(__file__).resolve().parent
RUNNER_JAR = "clipmill-flink-translation.jar"

_REQUIREMENTS = HERE / "requirements.txt"
_RUNNER = HERE / "runner"
_WANTED = ("flink-dist", "log4j-")  # DataSet jobs need none of the table jars
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
_IN_JAR = {
    "META-INF/MANIFEST.MF": "Manifest-Version: 1.0\n",
    "META-INF/services/org.apache.beam.sdk.util.construction.NativeTransforms"
    "$IsNativeTransform": "clipmill.flink.NativeReshuffle\n",
}


class DistributionError(RuntimeError):
    """A tool is missing, or one of them failed."""


def ensure(folder: Path) -> Path:
    """Returns the folder of the jars, all of them in it.

    Raises:
      DistributionError: something could not be fetched or compiled.
    """
    for tool in ("java", "javac", "mvn"):
        if shutil.which(tool) is None:
            raise DistributionError(f"{tool} is not on the path: Java 17 and Maven")
    folder = folder.absolute()  # Maven would take it for one beside its pom.xml
    jars = folder / "lib"
    if not jars.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as name:
            fetched = Path(name) / "lib"
            fetched.mkdir()
            _fetch_flink(Path(name), fetched)
            _fetch_beam(fetched)
            fetched.rename(jars)
    _compile_runner(jars)
    return jars


def run(command: list[str], cwd: Path | None = None) -> None:
    """Runs a tool; what it says is an error's text.

    Raises:
      DistributionError: its exit status is not 0.
    """
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        output = (done.stdout + done.stderr).strip()[-2000:]
        raise DistributionError(f"{command[0]} failed ({done.returncode}): {output}")


def _fetch_flink(scratch: Path, jars: Path) -> None:
    logger.info("fetching Flink (230 MB) from PyPI ...")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--no-build-isolation", "--no-binary", ":all:", "--require-hashes"]
    run([*command, "--dest", str(scratch), "--requirement", str(_REQUIREMENTS)])
    (archive,) = scratch.glob("apache[-_]flink[-_]libraries-*.tar.gz")
    with tarfile.open(archive) as members:
        for member in members:
            path = Path(member.name)
            if path.parts[1:-1] == ("deps", "lib") and path.name.startswith(_WANTED):
                content = members.extractfile(member)
                assert content is not None
                with content, (jars / path.name).open("wb") as jar:
                    shutil.copyfileobj(content, jar)
    archive.unlink()


def _fetch_beam(jars: Path) -> None:
    logger.info("fetching Beam's jars (60 MB) from Maven Central ...")
    command = ["mvn", "--batch-mode", "--quiet", "--file", str(_RUNNER / "pom.xml")]
    run([*command, _COPY, "-DincludeScope=runtime", f"-DoutputDirectory={jars}"])


def _compile_runner(jars: Path) -> None:
    """Compiles the runner, unless its jar is newer than all its sources.

    It lies among the cluster's jars, although every job brings it along: Beam finds
    the services that its graphs ask for only where it is itself.
    """
    target = jars / RUNNER_JAR
    sources = sorted(_RUNNER.rglob("*.java"))
    newest = max(source.stat().st_mtime for source in sources)
    if target.exists() and target.stat().st_mtime > newest:
        return
    target.unlink(missing_ok=True)
    class_path = os.pathsep.join(map(str, sorted(jars.glob("*.jar"))))
    with tempfile.TemporaryDirectory() as name:
        classes = Path(name)
        command = ["javac", "-Xlint:none", "-nowarn", "--release", "17"]
        command += ["-cp", class_path, "-d", str(classes)]
        run([*command, *map(str, sources)])
        made = classes / RUNNER_JAR
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as jar:
            for name_in_jar, text in _IN_JAR.items():
                jar.writestr(name_in_jar, text)
            for path in sorted(classes.rglob("*.class")):
                jar.write(path, path.relative_to(classes).as_posix())
        shutil.copyfile(made, target)
