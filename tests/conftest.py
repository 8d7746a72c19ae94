"""Fixtures that every test may use. Servers are started here, on loopback, and stopped here."""

from __future__ import annotations

import functools
import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings as hypothesis_settings

if TYPE_CHECKING:
    from local.home import Home

ROOT = Path(__file__).resolve().parent.parent
for entry in (str(ROOT), str(ROOT / "layers" / "shared")):
    if entry not in sys.path:
        sys.path.insert(0, entry)

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
os.environ.setdefault("AWS_REGION", "us-east-1")
os.environ.setdefault("AWS_ACCESS_KEY_ID", "testing")
os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "testing")
os.environ.setdefault("AWS_XRAY_SDK_ENABLED", "false")
os.environ.setdefault("POWERTOOLS_TRACE_DISABLED", "true")
os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "Pardna")

import botocore.session  # noqa: E402  (the environment must be set first)

from pardna.runtime import limits  # noqa: E402  (the path must be set first)

limits.install()

# Each session reads AWS's descriptions of its services anew, megabytes of JSON; tests make thousands
# of sessions. One reader, which remembers what it has read, serves all of them.
botocore.session.create_loader = functools.cache(botocore.session.create_loader)

# A slow or busy machine is not a finding.
hypothesis_settings.register_profile("pardna", deadline=None)
hypothesis_settings.load_profile("pardna")

from tests.support.postgres import Cluster, TestDatabase, in_memory, running_cluster  # noqa: E402


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Several workers (`make test WORKERS=2`): tests of a home stay together, one home serves all."""
    for item in items:
        if item.get_closest_marker("home"):
            item.add_marker(pytest.mark.xdist_group("home"))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL server of this test session's own."""
    with running_cluster(in_memory()) as running:
        yield running


@pytest.fixture
def database(cluster: Cluster) -> Iterator[TestDatabase]:
    """A freshly migrated database of the test's own."""
    made = cluster.clone(f"test_{secrets.token_hex(6)}")
    yield made
    cluster.drop(made)


@pytest.fixture(scope="session")
def home() -> Iterator[Home]:
    """The whole laptop home, deployed, of this test session's own: about half a minute, once."""
    from tests.support.home import laptop_home

    with laptop_home() as running:
        yield running
