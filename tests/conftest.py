"""What every test may use: fixtures of our own, the shared folder, real servers."""

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from sottovoce.engines.models.store import ModelStore
from tests.backends import PATIENT_LEASE, S3, Postgres, fleet_environment
from tests.gated import Gate
from tests.servers import Server

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"

# no test is about speed: Hypothesis would fail an example that takes 0.2 s, and a search that is slow to begin
# the same examples at every run, so that a change is judged by what it changes; SEARCH=1 looks for new ones
settings.register_profile(
    "patient",
    deadline=None,
    derandomize=not os.environ.get("SEARCH"),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("patient")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without ../shared its tests are left out of the run and counted aloud; with it they all run."""
    if SHARED.is_dir():
        return
    away = [item for item in items if item.get_closest_marker("shared")]
    items[:] = [item for item in items if not item.get_closest_marker("shared")]
    config.hook.pytest_deselected(items=away)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real audio and of the vendor's scripts."""
    return SHARED


@pytest.fixture(scope="session")
def real_models() -> Path:
    """The models folder with the real `whisper-base` and `whisper-tiny.en`; without them the test fails and says how to get them."""
    folder = Path(os.environ.get("SOTTOVOCE_TEST_MODELS") or ROOT / "data" / "models").absolute()
    lacking = {"whisper-base", "whisper-tiny.en"} - {model.name for model in ModelStore(folder).present()}
    if lacking:
        pytest.fail(
            f"{' and '.join(sorted(lacking))} are not in {folder}: run `make models`, or set SOTTOVOCE_TEST_MODELS"
        )
    return folder


@pytest.fixture(scope="session")
def demo() -> Path:
    """The demo sample: two voices, several sentences."""
    return ROOT / "samples" / "demo.wav"


@pytest.fixture(scope="session")
def demo_text() -> str:
    """What is said in it."""
    return (ROOT / "samples" / "demo.txt").read_text(encoding="utf-8").strip()


@pytest.fixture(scope="session")
def backends() -> Iterator[tuple[Postgres, S3]]:
    """A real PostgreSQL and an S3 server over HTTP, for everybody in this worker process."""
    with Postgres(fsync=False) as postgres, S3() as s3:
        yield postgres, s3


@pytest.fixture(scope="session")
def environment_of(request: pytest.FixtureRequest) -> Callable[[str, Path], dict[str, str]]:
    """What a server needs for a backend: nothing for `sqlite`; fresh databases and a bucket for `fleet`."""
    numbers = itertools.count(1)

    def environment(backend: str, home: Path) -> dict[str, str]:
        if backend == "sqlite":
            return {}
        postgres, s3 = request.getfixturevalue("backends")
        home.mkdir(parents=True, exist_ok=True)
        return fleet_environment(postgres, s3, home, f"tests{next(numbers)}") | PATIENT_LEASE

    return environment


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    """A closed gate, for servers whose jobs shall stay at work until the test opens it."""
    return Gate(tmp_path / "gate")


@pytest.fixture(scope="session", params=["sqlite", "fleet"])
def server(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    environment_of: Callable[[str, Path], dict[str, str]],
) -> Iterator[Server]:
    """A server for everybody in this worker process: on the embedded default, then on PostgreSQL and S3."""
    home = tmp_path_factory.mktemp("server")
    with Server(home, **environment_of(request.param, home)) as running:
        yield running
