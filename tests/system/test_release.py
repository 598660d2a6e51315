"""The release: a wheel that is built from the source archive, installed beside nothing of the checkout, serves and does a job."""

import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sottovoce import __version__
from tests import prefork
from tests.servers import DEFAULTS, PATIENCE, ROOT, Server, tls, until

pytestmark = pytest.mark.system

SPEECH = Path(__file__).parents[1] / "fixtures" / "audio" / "speech.flac"


def python(*arguments: object, cwd: Path = ROOT) -> str:
    """What the interpreter of the tests prints."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=prefork.bare(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def built(target: str, source: Path, into: Path) -> Path:
    """The archive that the build backend of pyproject.toml makes of *source*: `sdist` or `wheel`."""
    program = f"import sys; from hatchling.build import build_{target} as build; print(build(sys.argv[1]))"
    return into / python("-c", program, into, cwd=source).splitlines()[-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built of the unpacked source archive, as pip does it."""
    home = tmp_path_factory.mktemp("release")
    with tarfile.open(built("sdist", ROOT, home)) as archive:
        names = archive.getnames()
        archive.extractall(home, filter="data")
    assert not [name for name in names if "/data/" in name or "/.venv" in name or name.endswith(".pyc")]
    return built("wheel", home / f"sottovoce-{__version__}", home)


class Installed(Server):
    """The server of an environment that has the wheel, and the packages of the tests' environment in place of a download."""

    def __init__(self, home: Path, wheel: Path) -> None:
        super().__init__(home, SOTTOVOCE_ENGINE="pocketsphinx")
        python("-m", "venv", "--without-pip", home / "env")
        self.bin = home / "env" / "bin"
        self.environment_of = prefork.bare() | DEFAULTS | self.environment
        self.environment_of.pop("PYTHONPATH", None)  # the checkout
        where = python("-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
        (site,) = (home / "env" / "lib").glob("python*/site-packages")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)  # noqa: S202 - it was made above
        (site / "packages.pth").write_text(
            where + "\n"
        )  # the editable install there is a .pth file, which is not followed
        script = self.bin / "sottovoce"
        script.write_text(f"#!{self.bin / 'python'}\nimport sys\nfrom sottovoce.cli import main\nsys.exit(main())\n")
        script.chmod(0o755)

    def call(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            arguments, env=self.environment_of, cwd=self.home, capture_output=True, text=True, timeout=PATIENCE
        )

    def start(self) -> None:
        self._starts += 1
        command = [str(self.bin / "sottovoce"), "serve", "--port", "0", "--data-dir", str(self.data)]
        with self.log.open("ab") as log, self.out.open("wb") as out, Path(os.devnull).open("rb") as nothing:
            self.process = subprocess.Popen(
                command, stdin=nothing, stdout=out, stderr=log, env=self.environment_of, cwd=self.home
            )
        self.url = until(self._listening, "listening server")


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    with Installed(tmp_path_factory.mktemp("installed"), wheel) as server:
        yield server


def test_the_wheel_has_every_file_of_the_package(wheel: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "src", "docs"], cwd=ROOT, capture_output=True, text=True
    )
    assert listed.returncode == 0, f"run the tests in a git checkout, which lists the package's files: {listed.stderr}"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    files = [name for name in listed.stdout.splitlines() if (ROOT / name).exists()]
    ours = {name.removeprefix("src/") for name in files if name.startswith("src/")}
    guides = {f"sottovoce/web/docs/guides/{name.removeprefix('docs/')}" for name in files if name.startswith("docs/")}
    assert ours | guides <= names
    assert {name for name in names if ".dist-info/" not in name} <= ours | guides
    assert f"sottovoce-{__version__}.dist-info/licenses/LICENSE" in names


def test_the_installed_server_migrates_serves_its_pages_and_does_a_job(installed: Installed) -> None:
    where = installed.call(str(installed.bin / "python"), "-c", "import sottovoce; print(sottovoce.__file__)").stdout
    assert where.startswith(str(installed.home))
    with httpx.Client(base_url=installed.url, timeout=PATIENCE, verify=tls()) as client:
        until(lambda: client.get("/health/ready").status_code == 200, "readiness")
        for page in ("/", "/docs", "/openapi.json", "/docs/README", "/docs/command-line.md", "/metrics"):
            assert client.get(page, follow_redirects=True).status_code == 200, page
        assets = [line.split('"')[1] for line in client.get("/", follow_redirects=True).text.split("src=")[1:]]
        assert assets
        for asset in assets:
            assert client.get(asset).status_code == 200, asset
    job_id = installed.submit(SPEECH)
    assert installed.wait(job_id)["status"] == "done"
    assert installed.transcript(job_id, "txt").split()


def test_the_installed_command_transcribes_and_names_the_version(installed: Installed) -> None:
    assert __version__ in installed.call(str(installed.bin / "sottovoce"), "--version").stdout
    done = installed.call(str(installed.bin / "sottovoce"), "transcribe", str(SPEECH), "--quiet")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()
    listed = installed.call(str(installed.bin / "sottovoce"), "models", "list")
    assert "whisper-base" in listed.stdout
