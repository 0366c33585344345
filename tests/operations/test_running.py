"""A compiled program runs from the root while its executable and its library are upgraded."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from intact.bundle.build import build_bundle
from intact.bundle.read import open_bundle
from intact.bundle.source_manifest import read_source_manifest
from intact.operations.install import install
from intact.operations.prepare import InstallOptions
from intact.operations.rollback import roll_back_to
from intact.operations.root import Environment, open_root

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")

LIBRARY = 'const char *library_version(void) { return "library VERSION"; }\n'
PROGRAM = """
#include <stdio.h>
#include <unistd.h>
const char *library_version(void);
int main(void) {
    for (;;) {
        printf("program VERSION, %s\\n", library_version());
        fflush(stdout);
        usleep(2000);
    }
}
"""


def _build(place: Path, version: str) -> Path:
    source = place / f"source-{version}"
    (source / "lib").mkdir(parents=True)
    (source / "bin").mkdir()
    (place / "library.c").write_text(LIBRARY.replace("VERSION", version))
    (place / "program.c").write_text(PROGRAM.replace("VERSION", version))
    library = source / "lib/libgreet.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, place / "library.c"], check=True)
    parts = ["cc", "-o", source / "bin/program", place / "program.c", library, "-Wl,-rpath,$ORIGIN/../lib"]
    subprocess.run([str(part) for part in parts], check=True)
    manifest = place / f"{version}.toml"
    manifest.write_text(
        f'format = 1\n[package]\nname = "greet"\nversion = "{version}"\narchitecture = "all"\n'
        f'[[tree]]\nsource = "source-{version}"\npath = "opt"\n'
    )
    return build_bundle(read_source_manifest(manifest), place / f"{version}.tar.zst").path


def _install(root_path: Path, bundle: Path) -> None:
    with open_root(str(root_path)) as root, open_bundle(bundle, bundle.name) as opened:
        install(root, [opened], InstallOptions(allow_unsigned=True), Environment())


def _first_line(program: Path) -> str:
    with subprocess.Popen([program], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        line = running.stdout.readline()
        running.kill()
    return line.strip()


def test_a_compiled_program_and_its_library_are_upgraded_and_rolled_back_while_it_runs(
    tmp_path: Path,
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    bundles = [_build(tmp_path, version) for version in ("1", "2")]
    _install(root, bundles[0])
    program = root / "opt/bin/program"
    output = tmp_path / "output"
    with output.open("w") as sink, subprocess.Popen([program], stdout=sink) as running:
        try:
            _wait_for_lines(output, 10)
            for _ in range(5):
                _install(root, bundles[1])
                assert _first_line(program) == "program 2, library 2"
                with open_root(str(root)) as opened:
                    roll_back_to(opened, None, Environment())
                assert _first_line(program) == "program 1, library 1"
            assert os.readlink(f"/proc/{running.pid}/exe").startswith(str(root))  # noqa: PTH115  a magic link
            _wait_for_lines(output, len(output.read_text().splitlines()) + 10)
            assert running.poll() is None
        finally:
            running.kill()
    assert set(output.read_text().splitlines()[:-1]) == {"program 1, library 1"}


def _wait_for_lines(output: Path, count: int) -> None:
    deadline = time.monotonic() + 30
    while len(output.read_text().splitlines()) < count:
        assert time.monotonic() < deadline
        time.sleep(0.005)
