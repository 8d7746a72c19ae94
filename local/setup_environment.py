"""Make the virtual environments from the lock files: `.tools` (aws-sam-cli, MiniStack, uv …),
`.tools/checkov`, and `.venv` (the product and its tests). They are three because their boto3 pins
differ.

Started by any `python3` there is, so this file keeps to what Python 3.6 can read and goes on in a
newer one if it has to. Needs nothing but that Python and a package index. Does nothing, and
that quickly, when the environments already match the lock files.
"""

import glob
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OLDEST = (3, 11)
TRY = ("python3.13", "python3.12", "python3.11")
TOOLS, PRODUCT = os.path.join(ROOT, ".tools"), os.path.join(ROOT, ".venv")
CHECKOV = os.path.join(TOOLS, "checkov")
TOOLS_LOCK = os.path.join(ROOT, "requirements", "tools.txt")
CHECKOV_LOCK = os.path.join(ROOT, "requirements", "checkov.txt")
PRODUCT_LOCK = os.path.join(ROOT, "requirements", "dev.txt")


def main():
    need_python()
    for program, why in (("git", "to work on the repository"), ("make", "to run its commands")):
        if shutil.which(program) is None:
            return failed(f"{program} is missing ({why})", "install it and try again")
    environments = (
        (TOOLS, TOOLS_LOCK, tools),
        (CHECKOV, CHECKOV_LOCK, checkov),
        (PRODUCT, PRODUCT_LOCK, product),
    )
    if all(stamped(folder, lock) for folder, lock, _ in environments):
        own_code()
        debian_tools()
        return 0
    started = time.time()
    print("Installing what the project needs (once)", flush=True)
    for folder, lock, make in environments:
        if stamped(folder, lock):
            continue
        begun = time.time()
        make()
        with open(os.path.join(folder, ".stamp"), "w") as out:
            out.write(digest(lock))
        print(f"  ok {os.path.relpath(folder, ROOT):<34}{time.time() - begun:6.1f} s", flush=True)
    own_code()
    debian_tools()
    print(f"Installed in {time.time() - started:.0f} s", flush=True)
    return 0


def need_python():
    """Go on in a newer Python when this one is too old; say so when there is none."""
    if sys.version_info >= OLDEST:
        return
    for name in TRY:
        path = shutil.which(name)
        if path and subprocess.call([path, "-c", "pass"], stderr=subprocess.DEVNULL) == 0:
            os.execv(path, [path, os.path.abspath(__file__), *sys.argv[1:]])
    sys.exit(
        failed(
            f"Python {sys.version.split()[0]} is too old: 3.11 or newer is needed", "install one"
        )
    )


def tools():
    """`.tools`: a plain virtual environment, uv by pip, all else by uv."""
    uv = os.path.join(TOOLS, "bin", "uv")
    if not works(os.path.join(TOOLS, "bin", "python")) or not works(uv):
        shutil.rmtree(TOOLS, ignore_errors=True)
        run(
            [sys.executable, "-m", "venv", TOOLS], "python3-venv (or ensurepip) seems to be missing"
        )
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as only_uv:
            only_uv.write(pinned("uv", TOOLS_LOCK))
            only_uv.flush()
            pip = [os.path.join(TOOLS, "bin", "python"), "-m", "pip", "--disable-pip-version-check"]
            run([*pip, "install", "--quiet", "--require-hashes", "-r", only_uv.name], OFFLINE)
    sync(TOOLS, TOOLS_LOCK)


def checkov():
    """`.tools/checkov`, with its program beside the other tools."""
    fresh(CHECKOV)
    sync(CHECKOV, CHECKOV_LOCK)
    link = os.path.join(TOOLS, "bin", "checkov")
    if os.path.lexists(link):
        os.remove(link)
    os.symlink(os.path.join("..", "checkov", "bin", "checkov"), link)


def product():
    """`.venv`, the one that everyday work happens in."""
    fresh(PRODUCT)
    sync(PRODUCT, PRODUCT_LOCK)


def own_code():
    """Let `.venv` find the product where it stands, and give it the command `pardna`."""
    for packages in glob.glob(os.path.join(PRODUCT, "lib", "python3*", "site-packages")):
        # Relative to that folder, so that the repository may be moved.
        keep(os.path.join(packages, "pardna.pth"), "../../../../layers/shared\n")
    script = os.path.join(PRODUCT, "bin", "pardna")
    keep(script, '#!/bin/sh\nexec "$(dirname "$0")/python" -m pardna "$@"\n')
    os.chmod(script, 0o755)


def debian_tools():
    """OpenSSH's server for tests, tried once; nothing else depends on it (`debian_tools.py`)."""
    if not os.path.isdir(os.path.join(TOOLS, "debian")):
        subprocess.call([sys.executable, os.path.join(ROOT, "local", "debian_tools.py")])


def keep(path, content):
    """Write a file unless it says that already."""
    if os.path.exists(path):
        with open(path) as there:
            if there.read() == content:
                return
    with open(path, "w") as out:
        out.write(content)


def fresh(folder):
    """An empty environment, made by uv with the Python that runs this, unless a good one stands."""
    if not works(os.path.join(folder, "bin", "python")):
        shutil.rmtree(folder, ignore_errors=True)
        uv = os.path.join(TOOLS, "bin", "uv")
        run([uv, "venv", "--quiet", "--no-config", "--python", sys.executable, folder], "")


def sync(folder, lock):
    """Make an environment hold exactly what its lock file names, with bytecode."""
    command = [os.path.join(TOOLS, "bin", "uv"), "pip", "sync", "--quiet", "--no-config"]
    python = os.path.join(folder, "bin", "python")
    options = ["--require-hashes", "--compile-bytecode", "--python", python]
    run(command + options + [lock], OFFLINE)


OFFLINE = "is the package index reachable from here?"


def run(command, hint):
    """Run a command; end with a clear message if it fails."""
    environment = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH")}
    if subprocess.call(command, env=environment, cwd=ROOT) != 0:
        sys.exit(failed(f"this failed: {' '.join(command)}", hint))


def works(program):
    """Whether a program of an environment starts (an upgrade of Python breaks them)."""
    try:
        return subprocess.call([program, "--version"], stdout=subprocess.DEVNULL) == 0
    except OSError:
        return False


def pinned(name, lock):
    """The lines of one package in a lock file, hashes included."""
    lines, inside = [], False
    with open(lock) as source:
        for line in source:
            if not line.startswith((" ", "#")):
                inside = line.startswith(name + "==")
            if inside and not line.strip().startswith("#"):
                lines.append(line)
    return "".join(lines)


def stamped(folder, lock):
    """Whether an environment was made from this lock file."""
    try:
        with open(os.path.join(folder, ".stamp")) as stamp:
            return stamp.read() == digest(lock) and works(os.path.join(folder, "bin", "python"))
    except OSError:
        return False


def digest(lock):
    """What an environment depends on: the lock file and how we install."""
    with open(lock, "rb") as source:
        return hashlib.sha256(b"1" + source.read()).hexdigest()


def failed(what, remedy):
    sys.stderr.write(f"\n{what}\n" + (f"  -> {remedy}\n" if remedy else ""))
    return 1


if __name__ == "__main__":
    sys.exit(main())
