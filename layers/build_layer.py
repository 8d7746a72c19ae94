"""Build a Lambda layer without Docker: called by ``layers/*/Makefile``, which ``sam build`` calls.

For AWS (the default) the wheels are those of the target, arm64 and Python 3.13, whatever machine
this is; tests, type stubs and unused service descriptions go, and bytecode is added where a
Python 3.13 is at hand. On a laptop the emulator unpacks a layer for each worker that it starts, so
there the layer is one line that points to a folder unpacked once.

Standard library only: it runs with any Python from 3.11 on.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LAYERS = Path(__file__).resolve().parent
ROOT = LAYERS.parent
SERVICES = LAYERS / "botocore-services.txt"

PLATFORM = "aarch64-manylinux_2_28"  # Amazon Linux 2023 has glibc 2.34
PYTHON = "3.13"
# Unpacked, bytecode included. Lambda allows 250 MB for a function and all its layers.
LIMIT_MB = {"shared": 110, "engine": 90}
# Never imported at run time, or only by people.
UNUSED_FOLDERS = {"tests", "test", "testing", "examples", "__pycache__", "bin"}
UNUSED_SUFFIXES = (".pyi", ".pxd", ".pyx", ".c", ".h", ".hpp", ".cpp", ".a", ".orig")
# Bytecode halves a cold import, but takes room: in AWS only what nearly every function imports.
COMPILE = (
    *("pardna", "boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six.py"),
    *("aws_lambda_powertools", "aws_xray_sdk", "wrapt", "pydantic", "pydantic_core"),
    *("annotated_types", "typing_extensions.py", "typing_inspection", "pynamodb"),
    *("psycopg", "psycopg_binary", "duckdb"),
)
#: Unpacked folders that no build asked for so long are removed.
UNUSED_S = 30 * 24 * 3600.0


def main() -> int:
    """Build one layer into a folder; exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("layer", choices=sorted(LIMIT_MB))
    parser.add_argument("artifacts", type=Path, help="the folder that becomes the layer")
    parser.add_argument("--target", choices=("aws", "laptop"), default="aws")
    given = parser.parse_args()
    build = for_aws if given.target == "aws" else for_laptop
    build(given.layer, given.artifacts.resolve())
    return 0


def for_aws(layer: str, artifacts: Path) -> None:
    """The real layer, in full."""
    target = artifacts / "python"
    install(layer, target, ["--python-platform", PLATFORM, "--python-version", PYTHON])
    if layer == "shared":
        copy_product(target)
    compiler = interpreter(PYTHON)
    if compiler:
        compile_folder(compiler, target, COMPILE)
    else:
        print(f"no Python {PYTHON} here to compile with: the layer ships sources only", flush=True)
    size = folder_bytes(target) / 1e6
    print(f"layer {layer}: {size:.1f} MB unpacked (at most {LIMIT_MB[layer]})", flush=True)
    if size > LIMIT_MB[layer]:
        raise SystemExit(f"layer {layer} is {size:.1f} MB, over its {LIMIT_MB[layer]} MB")


def for_laptop(layer: str, artifacts: Path) -> None:
    """A layer of one line: put the unpacked folder first on the path."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folders = [unpacked_dependencies(layer)]
    if layer == "shared":
        folders.insert(0, unpacked_product())
    site = artifacts / "python" / "lib" / f"python{version}" / "site-packages"
    site.mkdir(parents=True)
    line = f"import sys; sys.path[0:0] = {[str(folder) for folder in folders]!r}\n"
    (site / f"pardna-{layer}.pth").write_text(line)


def unpacked_dependencies(layer: str) -> Path:
    """The folder of a layer's dependencies for this machine, made once per lock file."""
    lock = LAYERS / layer / "requirements.txt"
    key = digest([lock, SERVICES, Path(__file__)], sys.version)
    folder = cache() / f"{layer}-{key}"
    with locked(folder):
        if not folder.exists():
            fresh = folder.with_name(folder.name + ".new")
            shutil.rmtree(fresh, ignore_errors=True)
            install(layer, fresh, ["--python", sys.executable])
            compile_folder([sys.executable], fresh)
            fresh.rename(folder)
    folder.touch()
    return folder


def unpacked_product() -> Path:
    """A snapshot of the product, so that its bytecode is shared and a running home stays whole."""
    source = LAYERS / "shared" / "pardna"
    files = sorted(p for p in source.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    folder = cache() / f"product-{digest(files, sys.version)}"
    with locked(folder):
        if not folder.exists():
            fresh = folder.with_name(folder.name + ".new")
            shutil.rmtree(fresh, ignore_errors=True)
            copy_product(fresh)
            compile_folder([sys.executable], fresh)
            fresh.rename(folder)
    folder.touch()
    for old in cache().iterdir():
        if old.is_dir() and time.time() - old.stat().st_mtime > UNUSED_S:
            shutil.rmtree(old, ignore_errors=True)
    return folder


def install(layer: str, target: Path, options: list[str]) -> None:
    """Install the locked wheels into `target`, then remove what no function needs."""
    command = [
        *(find_uv(), "pip", "install", "--quiet", "--no-config", "--only-binary", ":all:"),
        *("--require-hashes", "--no-deps", "--target", str(target), *options),
        *("-r", str(LAYERS / layer / "requirements.txt")),
    ]
    environment = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH")}
    if subprocess.run(command, env=environment, check=False).returncode != 0:
        raise SystemExit(f"could not install the dependencies of layer {layer}")
    slim(target)


def slim(target: Path) -> None:
    """Remove tests, stubs, scripts and the service descriptions that nobody uses."""
    for folder in sorted((p for p in target.rglob("*") if p.is_dir()), reverse=True):
        inside = folder.relative_to(target).as_posix()
        if folder.name in UNUSED_FOLDERS or inside.endswith("-stubs"):
            shutil.rmtree(folder)
    for file in target.rglob("*"):
        if file.is_file() and file.suffix in UNUSED_SUFFIXES:
            file.unlink()
    data = target / "botocore" / "data"
    if data.is_dir():
        kept = kept_services()
        unknown = kept - {p.name for p in data.iterdir()}
        if unknown:
            raise SystemExit(f"{SERVICES.name} names services unknown to botocore: {unknown}")
        for service in data.iterdir():
            if service.is_dir() and service.name not in kept:
                shutil.rmtree(service)


def kept_services() -> set[str]:
    """The services of `botocore-services.txt`."""
    lines = (line.split("#")[0].strip() for line in SERVICES.read_text().splitlines())
    return {line for line in lines if line}


def copy_product(target: Path) -> None:
    """The product's package, without bytecode of other Pythons."""
    shutil.copytree(
        LAYERS / "shared" / "pardna",
        target / "pardna",
        ignore=shutil.ignore_patterns("__pycache__", "*.pyc"),
        dirs_exist_ok=True,
    )


def compile_folder(python: list[str], target: Path, only: tuple[str, ...] = (".",)) -> None:
    """Add bytecode that is trusted without a look at the source's time: zips keep no exact times."""
    names = [str(target / name) for name in only if (target / name).exists()]
    command = [*python, "-m", "compileall", "-q", "-q", "-j", "0"]
    mode = ["--invalidation-mode", "unchecked-hash"]
    # Paths in tracebacks as Lambda shows them.
    paths = ["-s", str(target), "-p", "/opt/python"]
    done = subprocess.run([*command, *mode, *paths, *names], check=False)
    if done.returncode != 0:
        raise SystemExit(f"could not compile {target}")


def interpreter(version: str) -> list[str] | None:
    """A command that runs Python `version`, if this machine has it."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or "~/.pyenv").expanduser()
    found = sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}"))
    for command in [[f"python{version}"], *([str(path)] for path in found)]:
        if not shutil.which(command[0]):
            continue
        check = f"import sys; print('.'.join(map(str, sys.version_info[:2])) == '{version}')"
        done = subprocess.run([*command, "-c", check], capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout.strip() == "True":
            return command
    return None


def find_uv() -> str:
    """The installer: the tools' own, else the one on the path."""
    own = ROOT / ".tools" / "bin" / "uv"
    found = str(own) if own.exists() else shutil.which("uv")
    if not found:
        raise SystemExit("uv is needed to build a layer: run `make setup`")
    return found


def cache() -> Path:
    """Where unpacked folders are kept, shared by all homes of this checkout."""
    return Path(os.environ.get("PARDNA_LAYER_CACHE") or ROOT / ".local" / "layers")


def digest(files: list[Path], *more: str) -> str:
    """A short name for the content of some files."""
    found = hashlib.sha256()
    for file in files:
        found.update(f"{file.relative_to(LAYERS)}\0".encode())
        found.update(hashlib.sha256(file.read_bytes()).digest())
    found.update("\0".join(more).encode())
    return found.hexdigest()[:16]


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One builder at a time for a folder of the cache."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def folder_bytes(folder: Path) -> int:
    """Sum of all file sizes, as Lambda counts them."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


if __name__ == "__main__":
    raise SystemExit(main())
