"""The layers as they ship to AWS: arm64, Python 3.13, within their size; functions carry nothing."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ROOT / "layers"
LIMIT_BYTES = {"shared": 110_000_000, "engine": 90_000_000}
TARGET_TAGS = re.compile(r"-(any|manylinux\w*_aarch64(\.manylinux\w*_aarch64)*)$")
TARGET_PYTHONS = re.compile(r"^(py2\.py3|py3|py2|cp3\d+|cp313)-(none|abi3|cp313)-")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both layers, built through their Makefiles as `sam build` does."""
    folders = {}
    for layer, target in (("shared", "SharedLayer"), ("engine", "EngineLayer")):
        artifacts = tmp_path_factory.mktemp(target)
        done = subprocess.run(
            ["make", "-s", f"build-{target}", f"ARTIFACTS_DIR={artifacts}"],
            cwd=LAYERS / layer,
            env=os.environ | {"PARDNA_LAYER_TARGET": "aws"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        folders[layer] = artifacts
    return folders


@pytest.mark.parametrize("layer", ["shared", "engine"])
def test_a_layer_stays_within_its_size(built: dict[str, Path], layer: str) -> None:
    size = sum(p.stat().st_size for p in built[layer].rglob("*") if p.is_file())
    assert 10_000_000 < size <= LIMIT_BYTES[layer]


@pytest.mark.parametrize("layer", ["shared", "engine"])
def test_every_wheel_is_for_the_target(built: dict[str, Path], layer: str) -> None:
    wheels = list(built[layer].glob("python/*.dist-info/WHEEL"))
    assert wheels
    for wheel in wheels:
        tags = [line[5:] for line in wheel.read_text().splitlines() if line.startswith("Tag: ")]
        fit = [t for t in tags if TARGET_TAGS.search(t) and TARGET_PYTHONS.search(t)]
        assert fit, f"{wheel.parent.name}: {tags}"


@pytest.mark.parametrize("layer", ["shared", "engine"])
def test_every_binary_is_for_arm64(built: dict[str, Path], layer: str) -> None:
    arm64 = 183  # e_machine of AArch64, at offset 18 of an ELF file
    binaries = [p for p in built[layer].rglob("*") if p.is_file() and ".so" in p.name]
    assert binaries
    for binary in binaries:
        head = binary.read_bytes()[:20]
        assert head[:4] == b"\x7fELF", binary
        assert int.from_bytes(head[18:20], "little") == arm64, binary


def test_the_product_is_in_the_shared_layer_whole(built: dict[str, Path]) -> None:
    source, shipped = LAYERS / "shared" / "pardna", built["shared"] / "python" / "pardna"
    files = {
        p.relative_to(source)
        for p in source.rglob("*")
        if p.is_file() and "__pycache__" not in p.parts
    }
    assert files == {
        p.relative_to(shipped)
        for p in shipped.rglob("*")
        if p.is_file() and "__pycache__" not in p.parts
    }
    assert not (built["engine"] / "python" / "pardna").exists()


def test_tests_stubs_and_unused_services_are_left_out(built: dict[str, Path]) -> None:
    python = built["shared"] / "python"
    assert not list(python.rglob("*.pyi"))
    assert not [p for p in python.rglob("tests") if p.is_dir()]
    services = {p.name for p in (python / "botocore" / "data").iterdir() if p.is_dir()}
    assert {"s3", "dynamodb", "sqs", "kinesis", "stepfunctions", "secretsmanager"} <= services
    assert len(services) < 30


def test_each_kept_service_says_why() -> None:
    lines = (LAYERS / "botocore-services.txt").read_text().splitlines()
    named = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+ +# .{10,}", line) for line in named), named


def test_every_service_that_the_product_calls_is_kept() -> None:
    lines = (LAYERS / "botocore-services.txt").read_text().splitlines()
    kept = {line.split("#")[0].strip() for line in lines}
    called = set()
    for file in (LAYERS / "shared" / "pardna").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args:
                name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
                name = node.func.id if isinstance(node.func, ast.Name) else name
                first = node.args[0]
                if name in {"client", "resource"} and isinstance(first, ast.Constant):
                    called.add(first.value)
    assert called <= kept, called - kept


def test_function_folders_hold_source_only() -> None:
    found = [p for p in (ROOT / "functions").rglob("*") if p.is_file() and p.suffix != ".pyc"]
    assert [p for p in found if p.suffix != ".py"] == []
    assert sum(p.stat().st_size for p in found) < 1_000_000


@pytest.mark.parametrize(
    "lock", ["layers/shared/requirements.txt", "layers/engine/requirements.txt"]
)
def test_lock_files_are_hashed_and_name_no_index(lock: str) -> None:
    text = (ROOT / lock).read_text()
    pins = re.findall(r"^([a-z0-9._-]+(?:\[[a-z]+\])?==\S+).*\\\n    --hash=sha256:", text, re.M)
    packages = [x for x in text.splitlines() if x and not x.startswith((" ", "#"))]
    assert len(pins) == len(packages) > 0
    assert "http" not in text
    assert "index" not in text


def test_the_laptops_layer_only_points_to_unpacked_folders(tmp_path: Path) -> None:
    """One line of text: the emulator unpacks a layer for every worker that it starts."""
    script = str(LAYERS / "build_layer.py")
    command = [sys.executable, script, "shared", str(tmp_path), "--target", "laptop"]
    subprocess.run(command, check=True)
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert [p.name for p in files] == ["pardna-shared.pth"]
    assert files[0].parent.name == "site-packages"
    code = f"{files[0].read_text()}import pardna, psycopg; print(pardna.__file__, psycopg.__file__)"
    isolated = [sys.executable, "-I", "-S", "-c", code]
    done = subprocess.run(isolated, capture_output=True, text=True, check=True)
    assert str(ROOT / ".local" / "layers") in done.stdout
