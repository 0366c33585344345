"""Nothing of who starts `pkg` comes in: no module, no start-up file, no variable, no umask, no descriptor."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.command_line import PKG, Desk, clean_environment

VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
# One of each kind: read at every start, of the standard library, of a library, of our own.
MODULES = (
    "sitecustomize",
    "usercustomize",
    "json",
    "signal",
    "tomli",
    "click",
    "zstandard",
    "evil",
    "intact",
)


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A directory full of modules and start-up files that leave a mark when one of them is run."""
    place = tmp_path / "trap"
    place.mkdir()
    mark = f"open({str(tmp_path / 'canary')!r}, 'a').write(__file__ + chr(10))\n"
    for name in MODULES:
        (place / f"{name}.py").write_text(mark)
    (place / "startup.py").write_text(mark)
    (place / "startup.sh").write_text(f"echo startup.sh >>{tmp_path / 'canary'}\n")
    (place / "openssl.cnf").write_text(
        "openssl_conf = x\n[x]\nengines = y\n[y]\nz = w\n[w]\ndynamic_path = /z\n"
    )
    (place / "temporary").mkdir()
    home = place / f".local/lib/{VERSION}/site-packages"
    shutil.copytree(place, home, ignore=shutil.ignore_patterns(".local", "temporary"))
    (home / "all.pth").write_text("import evil\n")
    shutil.copytree(home, place / f"lib/{VERSION}")
    return place


def variables(trap: Path) -> dict[str, str]:
    mark = f"() {{ echo function >>{trap.parent / 'canary'}; }}"
    return {
        "PYTHONPATH": str(trap),
        "PYTHONHOME": str(trap),
        "PYTHONSTARTUP": str(trap / "startup.py"),
        "PYTHONUSERBASE": str(trap / ".local"),
        "PYTHONINSPECT": "1",
        "PYTHONWARNINGS": "error::evil.Warning",
        "PYTHONBREAKPOINT": "evil.x",
        "PYTHONPYCACHEPREFIX": str(trap),
        "PYTHONPLATLIBDIR": str(trap),
        "HOME": str(trap),
        "TMPDIR": str(trap / "temporary"),
        "SQLITE_TMPDIR": str(trap / "temporary"),
        "LD_LIBRARY_PATH": str(trap),
        "SSLKEYLOGFILE": str(trap / "temporary/keys"),
        "OPENSSL_CONF": str(trap / "openssl.cnf"),
        "GIT_DIR": str(trap),
        "GIT_EXTERNAL_DIFF": str(trap / "startup.sh"),
        "ENV": str(trap / "startup.sh"),
        "BASH_ENV": str(trap / "startup.sh"),
        "IFS": "/",
        "SHELLOPTS": "xtrace",
        "PS4": f"$(echo PS4 >>{trap.parent / 'canary'})",
        "BASH_FUNC_readlink%%": mark,
        "BASH_FUNC_command%%": mark,
        "BASH_FUNC_exec%%": mark,
        "BASH_FUNC_[%%": mark,
    }


def canary(trap: Path) -> str:
    found = trap.parent / "canary"
    return found.read_text() if found.exists() else ""


ONE_BY_ONE = sorted(variables(Path("/x")))


@pytest.mark.parametrize("name", [*ONE_BY_ONE, "nothing but the working directory", "all of them"])
@pytest.mark.parametrize("started", ["by its name", "through a link"])
def test_sec_41_nothing_of_the_environment_is_run(
    name: str, started: str, trap: Path, trusting: Desk
) -> None:
    bundle = trusting.place / trusting.bundle("app", "1")
    program = PKG
    if started == "through a link":
        program = trap / "pkg"
        program.symlink_to(PKG)
    hostile = variables(trap)
    chosen = hostile if name == "all of them" else {one: hostile[one] for one in hostile if one == name}
    done = subprocess.run(
        [program, "--root", trusting.root, "install", bundle],
        cwd=trap,
        env={**clean_environment(), **chosen},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert canary(trap) == ""
    assert list((trap / "temporary").iterdir()) == []


def test_sec_41_the_trap_is_one(trap: Path) -> None:
    """An interpreter that is not isolated falls into it."""
    for variable in ("PYTHONPATH", "HOME"):
        plain = {**clean_environment(), variable: variables(trap)[variable]}
        interpreter = shutil.which("python3", path=f"{sys.base_prefix}/bin") or sys.executable
        subprocess.run([interpreter, "-c", "import json"], env=plain, cwd="/", check=False)
        assert canary(trap), variable
        (trap.parent / "canary").unlink()


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox"])
def test_sec_41_whichever_shell_is_sh(shell: str, trap: Path, trusting: Desk) -> None:
    """Where it is bash, functions come in from the environment."""
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"there is no {shell}")
    (trap / "sh").symlink_to(program)
    (trap / "pkg").symlink_to(PKG)
    done = subprocess.run(
        [trap / "sh", trap / "pkg", "--root", trusting.root, "list"],
        cwd=trap,
        env={**clean_environment(), **variables(trap)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert canary(trap) == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's interpreter is started again")
def test_sec_41_an_interpreter_that_is_not_isolated_is_started_again(trap: Path) -> None:
    """Somebody else's way to start us: a module that is looked up afterwards is not found in the trap."""
    for name in MODULES:  # what is imported before our first line is out of reach
        (trap / f"{name}.py").unlink()
    mark = f"open({str(trap.parent / 'canary')!r}, 'a').write(__file__)\n"
    (trap / "cryptography.py").write_text(mark)
    done = subprocess.run(
        [sys.executable, "-c", "from intact.cli.main import main; main()", "key", "generate", trap / "made"],
        cwd=trap,
        env={**clean_environment(), "PYTHONPATH": str(trap)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "public key SHA256:" in done.stdout
    assert canary(trap) == ""


def test_sec_41_only_named_variables_stay() -> None:
    code = "import os; from intact.cli.surroundings import settle_surroundings as s; s(); print(sorted(os.environ))"
    kept = {"LANG": "C", "LC_ALL": "C", "TERM": "x", "PKG_ROOT": "x", "SOURCE_DATE_EPOCH": "1"}
    done = subprocess.run(
        [sys.executable, "-I", "-c", code],
        env={**variables(Path("/x")), **kept, "PATH": "/evil", "SECRET": "x"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(sorted({*kept, "PATH"}))


def test_sec_41_the_interpreter_beside_it_is_started_and_writes_nothing(tmp_path: Path) -> None:
    """Half a file of bytecode, left by a full disk or a limit, would keep it from ever starting again."""
    (tmp_path / "pkg").write_bytes(PKG.read_bytes())
    (tmp_path / "python3").write_text('#!/bin/sh\necho "$@"\n')
    for name in ("pkg", "python3"):
        (tmp_path / name).chmod(0o755)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/link").symlink_to("../pkg")
    done = subprocess.run([tmp_path / "elsewhere/link", "a b"], capture_output=True, text=True, check=True)
    assert done.stdout == f"-I -B {tmp_path / 'pkg'} a b\n"
