"""The wheel, installed elsewhere with the pinned versions, has everything that the demo needs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(cwd: Path, *command: str | Path) -> str:
    """Run a command that must succeed, with nothing of this checkout in its environment."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MAILER_", "PYTHON", "VIRTUAL_ENV"))
    }
    ended = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**environment, "TMPDIR": str(cwd)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, f"{command}: {ended.stdout}{ended.stderr}"
    return ended.stdout


def install_wheel(folder: Path) -> Path:
    """Build the wheel and install it, with uv where `make setup` uses uv; returns its bin folder."""
    bin_folder, wheels = folder / "venv" / "bin", folder.parent / "wheels"
    constraints = ("--constraint", ROOT / "constraints.txt")
    if shutil.which("uv"):
        run(folder, "uv", "venv", "--quiet", "--python", sys.executable, folder / "venv")
        run(folder, "uv", "build", "--quiet", "--wheel", "--out-dir", wheels, ROOT)
        install = ["uv", "pip", "install", "--quiet", "--python", bin_folder / "python"]
    else:
        run(folder, sys.executable, "-m", "venv", folder / "venv")
        pip = bin_folder / "pip"
        run(folder, pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", wheels, ROOT)
        install = [pip, "install", "--quiet", "--disable-pip-version-check"]
    (wheel,) = wheels.glob("*.whl")
    run(folder, *install, *constraints, wheel)
    return bin_folder


@pytest.mark.thorough
@pytest.mark.real_processes
@pytest.mark.timeout(400)
def test_the_wheel_installed_elsewhere_runs_the_whole_demo(fast_folder: Path) -> None:
    elsewhere = fast_folder / "elsewhere"
    elsewhere.mkdir()
    bin_folder = install_wheel(elsewhere)
    place = run(elsewhere, bin_folder / "python", "-c", "import mailer; print(mailer.__file__)")
    assert place.startswith(str(elsewhere))
    said = run(elsewhere, bin_folder / "mailer", "demo", "--once")
    assert "Everything worked" in said.splitlines()[-1]
    assert [path.name for path in elsewhere.iterdir() if path.name.startswith("mailer-")] == []
