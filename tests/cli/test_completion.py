"""Real shells complete our commands."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from support.command_line import PKG, Desk, Terminal, clean_environment

SHELLS = ["bash", "zsh", "fish"]


def _needs(shell: str) -> str:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"{shell} is not installed")
    return found


def _environment() -> dict[str, str]:
    """Put our `pkg` in front of any other one."""
    return clean_environment(PATH=f"{PKG.parent}:{os.environ['PATH']}")


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_one_that_the_shell_can_read(shell: str, desk: Desk) -> None:
    path = _needs(shell)
    script = desk.place / "script"
    script.write_text(desk.good("completion", shell).out)
    option = "--no-execute" if shell == "fish" else "-n"
    done = subprocess.run([path, option, script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("shell", SHELLS)
def test_the_json_document_has_the_same_script(shell: str, desk: Desk) -> None:
    document = desk("--json", "completion", shell).json
    assert document["shell"] == shell
    assert document["script"].rstrip("\n") == desk("completion", shell).out.rstrip("\n")


BASH = """
source <("$PKG" completion bash)
COMP_WORDS=($LINE) COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
[ "${LINE: -1}" = " " ] && COMP_WORDS+=("") && COMP_CWORD=$((COMP_CWORD + 1))
_pkg_completion pkg
printf '%s\\n' "${COMPREPLY[@]}"
"""

COMPLETED: dict[str, tuple[str, set[str], set[str]]] = {
    "a command": ("pkg inst", {"install"}, {"list"}),
    "all commands": ("pkg ", {"install", "remove", "rollback", "key", "verify"}, {"generate"}),
    "a command of a group": ("pkg key ", {"generate", "trust", "list", "revoke", "export"}, {"install"}),
    "an option": ("pkg install --allow", {"--allow-unsigned", "--allow-downgrade"}, {"--dry-run"}),
    "a choice": ("pkg completion ", {"bash", "zsh", "fish"}, {"csh"}),
}


@pytest.mark.parametrize("name", COMPLETED)
def test_bash_completes(name: str, desk: Desk) -> None:
    line, wanted, unwanted = COMPLETED[name]
    done = subprocess.run(
        [_needs("bash"), "--norc", "-c", BASH],
        env={**_environment(), "LINE": line, "PKG": str(PKG)},
        cwd=desk.place,
        capture_output=True,
        text=True,
        check=False,
    )
    found = set(done.stdout.split())
    assert done.stderr == ""
    assert wanted <= found
    assert not unwanted & found


@pytest.mark.parametrize("name", COMPLETED)
def test_fish_completes(name: str, desk: Desk) -> None:
    line, wanted, unwanted = COMPLETED[name]
    done = subprocess.run(
        [_needs("fish"), "--no-config", "-c", f"pkg completion fish | source; complete -C {line!r}"],
        env={**_environment(), "HOME": str(desk.place)},
        cwd=desk.place,
        capture_output=True,
        text=True,
        check=False,
    )
    found = {one.split("\t")[0] for one in done.stdout.splitlines()}
    assert wanted <= found, done.stderr
    assert not unwanted & found


def test_zsh_completes_on_a_terminal(desk: Desk, tmp_path: Path) -> None:
    """Zsh completes in its line editor alone, so a person has to press the key."""
    zsh = _needs("zsh")
    (tmp_path / ".zshrc").write_text(
        "PS1='ready> '\nautoload -Uz compinit\ncompinit -u\nsource <(pkg completion zsh)\n"
    )
    environment = {**_environment(), "ZDOTDIR": str(tmp_path)}
    terminal = Terminal(zsh, "-i", cwd=desk.place, environment=environment)
    terminal.until("ready> ")
    terminal.type("pkg rollb\t")
    terminal.until("rollback")
    terminal.type("--dry\t")
    terminal.until("--dry-run")
    terminal.type("\x15exit\n")
    assert terminal.end()[0] == 0


@pytest.mark.parametrize("shell", SHELLS)
def test_completing_reads_no_root(shell: str, desk: Desk) -> None:
    """Pressing a key must work everywhere, also where the root is not there."""
    done = subprocess.run(
        [PKG],
        env={
            **_environment(),
            "PKG_ROOT": "nowhere",
            "_PKG_COMPLETE": f"{shell}_complete",
            "COMP_WORDS": "pkg hist",
            "COMP_CWORD": "1" if shell != "fish" else "hist",
        },
        cwd=desk.place,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "history" in done.stdout


def test_a_shell_that_is_not_known_is_refused_with_those_that_are(desk: Desk) -> None:
    result = desk("completion", "csh")
    assert (result.code, result.out) == (2, "")
    assert all(f"'{shell}'" in result.err for shell in SHELLS)
