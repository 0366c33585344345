"""Build two versions of a program, upgrade it while it runs, kill an upgrade in the middle, recover, roll back."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PKG = Path(sys.executable).with_name("pkg")
FILES = 400
TRIES = 20

PROGRAM = """#!/bin/sh
# Reads its library and its own file again and again, as a long-running program does.
here="$(dirname "$0")"
. "$here/../lib/greeting.sh"
while :; do
    echo "version {version}: $(greet)"
    sleep 0.2
done
"""
LIBRARY = """greet() {{
    echo "greetings from library {version}"
}}
"""


def say(text: str) -> None:
    """Print a heading."""
    print(f"\n\033[1m== {text}\033[0m" if sys.stdout.isatty() else f"\n== {text}", flush=True)


class Demo:
    """One run, in a scratch directory."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.root = place / "root"
        self.root.mkdir()

    def pkg(self, *arguments: str, expect: int = 0) -> str:
        """Run pkg and show what it prints."""
        print(f"$ pkg {' '.join(arguments)}", flush=True)
        done = subprocess.run(
            [PKG, "--root", self.root, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.place,
        )
        print("  " + (done.stdout + done.stderr).rstrip().replace("\n", "\n  "), flush=True)
        if done.returncode != expect:
            sys.exit(f"expected exit code {expect}, got {done.returncode}")
        return done.stdout

    def write_sources(self, version: str) -> None:
        """Write the sources and the manifest of one version."""
        source = self.place / f"source-{version}"
        for name, text, mode in (
            ("bin/greeter", PROGRAM, 0o755),
            ("lib/greeting.sh", LIBRARY, 0o644),
        ):
            path = source / "opt/greeter" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.format(version=version))
            path.chmod(mode)
        for number in range(FILES):
            path = source / f"opt/greeter/share/{number % 20}/{number}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"version {version}, file {number}\n" * 50)
        (source / "etc").mkdir()
        (source / "etc/greeter.conf").write_text("colour = blue\n")
        (self.place / f"greeter-{version}.toml").write_text(
            f"""format = 1

[package]
name = "greeter"
version = "{version}"
architecture = "all"
summary = "Says hello, for ever"
license = "Apache-2.0"

[[tree]]
source = "source-{version}"
config = ["etc/*"]
"""
        )

    def versions(self) -> set[str]:
        """Look into every file and say which versions are there."""
        found = set()
        for path in (self.root / "opt").rglob("*"):
            if path.is_file():
                text = path.read_text()
                found |= {version for version in ("1.0", "2.0") if version in text}
        return found


def main() -> None:
    """Run the demonstration."""
    place = Path(tempfile.mkdtemp(prefix="demo-", dir=Path(__file__).parent.parent))
    try:
        _run(Demo(place))
    finally:
        shutil.rmtree(place)
    print("\nEverything that this made is gone again.")


def _run(demo: Demo) -> None:
    say("A publisher makes a key, and builds and signs two versions of a program")
    demo.pkg("key", "generate", "publisher", "--comment", "publisher@example.org")
    for version in ("1.0", "2.0"):
        demo.write_sources(version)
        demo.pkg("build", f"greeter-{version}.toml", "--key", "publisher")

    say("A machine that does not know the key refuses the bundle")
    demo.pkg("install", "greeter-1.0-all.tar.zst", expect=3)

    say("It trusts the key, and installs version 1.0")
    demo.pkg("key", "trust", "publisher.pub", "--yes")
    demo.pkg("install", "greeter-1.0-all.tar.zst")

    say("The program starts")
    with (demo.place / "output").open("w+") as output:
        program = subprocess.Popen([demo.root / "opt/greeter/bin/greeter"], stdout=output)
        try:
            _while_it_runs(demo, program)
        finally:
            program.kill()
            program.wait()

    say("The administrator edits the configuration; then back to 1.0, offline, with that edit kept")
    (demo.root / "etc/greeter.conf").write_text("colour = green\n")
    demo.pkg("rollback")
    print("  /etc/greeter.conf still says:", (demo.root / "etc/greeter.conf").read_text().strip())
    demo.pkg("verify")
    demo.pkg("history")

    say("And away with it; the edited configuration stays")
    demo.pkg("remove", "greeter")


def _kill_while_renaming(demo: Demo) -> bool:
    """Start an upgrade, wait until its first file is in place, and kill it; True if it was in time."""
    first = demo.root / "opt/greeter/lib/greeting.sh"
    upgrade = subprocess.Popen(
        [PKG, "--root", demo.root, "install", demo.place / "greeter-2.0-all.tar.zst"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while upgrade.poll() is None:
        if "2.0" in first.read_text():
            upgrade.send_signal(signal.SIGKILL)
            return upgrade.wait() != 0
    return False


def _while_it_runs(demo: Demo, program: "subprocess.Popen[bytes]") -> None:
    time.sleep(0.6)
    say("An upgrade is killed with SIGKILL while it renames files")
    for attempt in range(1, TRIES + 1):
        if _kill_while_renaming(demo):
            break
        print(f"  try {attempt}: it was faster than the kill; going back and trying again")
        subprocess.run([PKG, "--root", demo.root, "--quiet", "rollback"], check=True)
    else:
        sys.exit("it finished every time before it could be killed")
    print("  at this moment the root holds whole files of version", " and ".join(sorted(demo.versions())))
    demo.pkg("recover", "--status", expect=6)
    say("The next command finishes or undoes it by itself")
    demo.pkg("install", "greeter-2.0-all.tar.zst")
    print("  the root now holds files of version", sorted(demo.versions()))
    time.sleep(0.5)
    lines = (demo.place / "output").read_text().splitlines()
    print(
        f"  the program that was started before is alive: {program.poll() is None}; it has said {len(set(lines))} thing(s):"
    )
    print(f"    {lines[-1]}")
    fresh = subprocess.Popen([demo.root / "opt/greeter/bin/greeter"], stdout=subprocess.PIPE, text=True)
    print("  a new start says:")
    print(f"    {fresh.stdout.readline().strip() if fresh.stdout else ''}")
    fresh.kill()
    fresh.wait()
    if fresh.stdout:
        fresh.stdout.close()
    demo.pkg("verify")


if __name__ == "__main__":
    os.environ.pop("PKG_ROOT", None)
    main()
