"""Programs from Debian that tests talk to, unpacked into `.tools/debian`: OpenSSH's server.

No root is needed and nothing of the system is changed: packages are downloaded by apt, which checks
their signatures, and unpacked by dpkg. Where there is no apt, or no network, nothing happens and
the tests that need the programs say so and are skipped.
"""

import glob
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDER = os.path.join(ROOT, ".tools", "debian")
PACKAGES = ("openssh-server", "openssh-sftp-server", "openssh-client")
#: Libraries of theirs that a small system lacks, and the packages that hold them.
LIBRARIES = {
    "libwrap.so.0": "libwrap0",
    "libselinux.so.1": "libselinux1",
    "libpcre2-8.so.0": "libpcre2-8-0",
    "libaudit.so.1": "libaudit1",
    "libcap-ng.so.0": "libcap-ng0",
    "libpam.so.0": "libpam0g",
    "libsystemd.so.0": "libsystemd0",
    "libcom_err.so.2": "libcom-err2",
    "libgssapi_krb5.so.2": "libgssapi-krb5-2",
    "libkrb5.so.3": "libkrb5-3",
    "libk5crypto.so.3": "libk5crypto3",
    "libkrb5support.so.0": "libkrb5support0",
    "libkeyutils.so.1": "libkeyutils1",
    "libnsl.so.2": "libnsl2",
    "libtirpc.so.3": "libtirpc3",
}
ROUNDS_MAX = 6


def sshd():
    """Path of OpenSSH's server, unpacked here or installed, or None."""
    return first(os.path.join(FOLDER, "usr", "sbin", "sshd"), "/usr/sbin/sshd")


def sftp_server():
    """Path of OpenSSH's SFTP subsystem, or None."""
    below = ("usr", "lib", "openssh", "sftp-server")
    return first(os.path.join(FOLDER, *below), os.path.join(os.sep, *below))


def library_path():
    """Where the unpacked libraries lie: the value of LD_LIBRARY_PATH."""
    folders = glob.glob(os.path.join(FOLDER, "usr", "lib", "*-linux-gnu"))
    return os.pathsep.join(folders + glob.glob(os.path.join(FOLDER, "lib", "*-linux-gnu")))


def install():
    """Unpack what is missing; returns an empty text, or why it could not be done."""
    if sshd() and sftp_server() and not missing(sshd()):
        return ""
    os.makedirs(FOLDER, exist_ok=True)  # it stands for "tried": delete it to try again
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        return "this system has no apt"
    wanted = list(PACKAGES)
    for _ in range(ROUNDS_MAX):
        if not fetch(wanted):
            return "apt could not download " + ", ".join(wanted)
        lacking = missing(sshd()) if sshd() else ["sshd"]
        if not lacking:
            return ""
        wanted = [LIBRARIES[name] for name in lacking if name in LIBRARIES]
        if len(wanted) < len(lacking):
            return "these libraries are missing: " + ", ".join(lacking)
    return "its libraries could not be found"


def fetch(packages):
    """Download and unpack; once more after reading apt's lists anew, if root may do that."""
    for attempt in range(2):
        if quiet(["apt-get", "download", *packages], FOLDER):
            break
        if attempt or not quiet(["apt-get", "update"], FOLDER):
            return False
    archives = glob.glob(os.path.join(FOLDER, "*.deb"))
    done = all(quiet(["dpkg", "-x", archive, FOLDER], FOLDER) for archive in archives)
    for archive in archives:
        os.remove(archive)
    return done


def missing(program):
    """Libraries that a program asks for and the system does not have."""
    environment = dict(os.environ, LD_LIBRARY_PATH=library_path())
    try:
        listed = subprocess.check_output(["ldd", program], env=environment, universal_newlines=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return [line.split()[0] for line in listed.splitlines() if "not found" in line]


def first(*paths):
    """The first path at which there is a file."""
    return next((path for path in paths if os.path.isfile(path)), None)


def quiet(command, folder):
    """Whether a command succeeds; what it says is of no interest."""
    try:
        return (
            subprocess.call(
                command,
                cwd=folder,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=120,
            )
            == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return False


def main():
    """Never fails: these programs serve tests only."""
    why_not = install()
    if why_not:
        print(f"  OpenSSH's server is not here: {why_not}. Its tests will be skipped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
