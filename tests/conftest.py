"""Fixtures for all tests: samples, the shared folder, real servers."""

import itertools
import os
import sys
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from sottovoce.engines.models.store import ModelStore
from tests import collecting, prefork, remembered
from tests.backends import PATIENT_LEASE, S3, Postgres, fleet_environment
from tests.examples import DEFAULT, SEARCH, examples
from tests.gated import Gate
from tests.servers import Server

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"

# where compiled files are not kept, every process that a test starts compiles the whole package, for half a second
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# no test is about speed: by default Hypothesis fails an example that takes 0.2 s, and a search that starts slowly
settings.register_profile(
    "patient",
    deadline=None,
    derandomize=not SEARCH,
    max_examples=examples(DEFAULT),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("patient")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without ../shared, deselect the tests that need it, so that pytest reports their number."""
    if SHARED.is_dir():
        return
    away = [item for item in items if item.get_closest_marker("shared")]
    items[:] = [item for item in items if not item.get_closest_marker("shared")]
    config.hook.pytest_deselected(items=away)


def pytest_configure() -> None:
    """Make what the processes of pytest share, before the others start."""
    remembered.share()
    collecting.share()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    with collecting.collecting():
        return (yield)


def pytest_unconfigure() -> None:
    """End the process that starts servers."""
    prefork.close()
    if "PYTEST_XDIST_WORKER" not in os.environ:
        collecting.forget()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real audio and of the vendor's scripts."""
    return SHARED


@pytest.fixture(scope="session")
def real_models() -> Path:
    """The models folder with the real `whisper-base` and `whisper-tiny.en`; without them the test fails with the command to run."""
    folder = Path(os.environ.get("SOTTOVOCE_TEST_MODELS") or ROOT / "data" / "models").absolute()
    lacking = {"whisper-base", "whisper-tiny.en"} - {model.name for model in ModelStore(folder).present()}
    if lacking:
        pytest.fail(
            f"{' and '.join(sorted(lacking))} are not in {folder}: run `make models`, or set SOTTOVOCE_TEST_MODELS"
        )
    return folder


@pytest.fixture(scope="session")
def real_minilm() -> Path:
    """The models folder with the real `minilm`; without it the test fails with the command to run."""
    folder = Path(os.environ.get("SOTTOVOCE_TEST_MODELS") or ROOT / "data" / "models").absolute()
    if "minilm" not in {model.name for model in ModelStore(folder).present()}:
        pytest.fail(f"minilm is not in {folder}: run `make models`, or set SOTTOVOCE_TEST_MODELS")
    return folder


@pytest.fixture(scope="session")
def real_moonshine() -> Path:
    """The models folder with the real `moonshine-tiny-en`; without it the test fails with the command to run."""
    folder = Path(os.environ.get("SOTTOVOCE_TEST_MODELS") or ROOT / "data" / "models").absolute()
    if "moonshine-tiny-en" not in {model.name for model in ModelStore(folder).present()}:
        pytest.fail(f"moonshine-tiny-en is not in {folder}: run `make models`, or set SOTTOVOCE_TEST_MODELS")
    return folder


@pytest.fixture(scope="session")
def demo() -> Path:
    """The demo sample: two voices, several sentences."""
    return ROOT / "samples" / "demo.wav"


@pytest.fixture(scope="session")
def sentence(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first sentence of the demo sample and half a second of the pause behind it, for tests whose engine hears it anew."""
    path = tmp_path_factory.mktemp("samples") / "sentence.wav"
    with wave.open(str(demo)) as whole, wave.open(str(path), "wb") as out:
        out.setparams(whole.getparams())
        out.writeframes(whole.readframes(round(4.5 * whole.getframerate())))
    return path


@pytest.fixture(scope="session")
def demo_text() -> str:
    """The text of the demo sample."""
    return (ROOT / "samples" / "demo.txt").read_text(encoding="utf-8").strip()


@pytest.fixture(scope="session")
def backends() -> Iterator[tuple[Postgres, S3]]:
    """A real PostgreSQL and an S3 server over HTTP, shared by all tests of this worker process."""
    with Postgres(fsync=False) as postgres, S3() as s3:
        yield postgres, s3


@pytest.fixture(scope="session")
def environment_of(request: pytest.FixtureRequest) -> Callable[[str, Path], dict[str, str]]:
    """A function that gives the environment of a backend: empty for `sqlite`; fresh databases and a bucket for `fleet`."""
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
    """A closed gate, for servers whose jobs must keep running until the test opens it."""
    return Gate(tmp_path / "gate")


@pytest.fixture(scope="module", params=["sqlite", "fleet"])
def server(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    environment_of: Callable[[str, Path], dict[str, str]],
) -> Iterator[Server]:
    """A server shared by all tests of a file: on the embedded default, then on PostgreSQL and S3."""
    home = tmp_path_factory.mktemp("server")
    with Server(home, SOTTOVOCE_ENGINE="auto", **environment_of(request.param, home)) as running:
        yield running
