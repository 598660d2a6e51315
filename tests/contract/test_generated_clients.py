"""Clients that are generated from `/openapi.json`: the TypeScript types compile, and the Python client does a job.

The generators are in `.venv-clients`: `openapi-typescript` and `typescript` of npm, `openapi-python-client` of PyPI.
"""

import json
import subprocess
from pathlib import Path

import pytest

from tests.servers import ROOT, Server

pytestmark = pytest.mark.system
SPEECH = Path(__file__).parents[1] / "fixtures" / "audio" / "speech.flac"
TOOLS = ROOT / ".venv-clients"
NODE = "install Node.js 20 or newer (commands `node` and `npm`), then run `make test`"
PYTHON = "run `make test`, which installs it"

TYPESCRIPT = """
import type { components, paths } from "./api";

type Config = components["schemas"]["JobConfig"];
type Form = NonNullable<paths["/v2/jobs"]["post"]["requestBody"]>["content"]["multipart/form-data"];
type Job = paths["/v2/jobs/{job_id}"]["get"]["responses"][200]["content"]["application/json"]["job"];
type Transcript = components["schemas"]["Transcript"];

const config: Config = {
  type: "transcription",
  transcription_config: { language: "en", diarization: "speaker", additional_vocab: [{ content: "gnocchi" }, "Sottovoce"] },
  notification_config: [{ url: "https://example.org/hook", contents: ["transcript.txt"], method: "put" }],
  output_config: { srt_overrides: { max_line_length: 32 } },
};
export const form: Form = { config };
export const ended = (job: Job): boolean => job.status === "done" || job.status === "rejected";
export const words = (transcript: Transcript): string[] =>
  transcript.results.map((result) => result.alternatives?.[0]?.content ?? "");

// @ts-expect-error A job has a type.
export const untyped: Config = { transcription_config: { language: "en" } };
// @ts-expect-error No such kind of job.
export const unknown: Config = { type: "translation" };
// @ts-expect-error No such kind of diarization.
export const diarized: Config = { type: "transcription", transcription_config: { language: "en", diarization: "voice" } };
// @ts-expect-error No such status.
export const status = (job: Job): boolean => job.status === "finished";
"""
"""A program that uses the types; each `@ts-expect-error` fails the compilation if the next line has no error."""

CLIENT = """
import importlib, pkgutil, sys, time
from io import BytesIO
from pathlib import Path

import client
from client.api.batch import create_job, get_job, get_transcript
from client.models import CreateJobBody, ErrorResponse, JobConfig, JobConfigType, RetrieveJobResponse, TranscriptionConfig
from client.types import File

for module in pkgutil.walk_packages(client.__path__, "client."):
    importlib.import_module(module.name)

url, key, audio = sys.argv[1:]
api = client.AuthenticatedClient(base_url=url, token=key)
config = JobConfig(type_=JobConfigType.TRANSCRIPTION, transcription_config=TranscriptionConfig(language="en"))
file = File(payload=BytesIO(Path(audio).read_bytes()), file_name="speech.flac")
job_id = create_job.sync(client=api, body=CreateJobBody(config=config, data_file=file)).id
while (job := get_job.sync(job_id, client=api, wait=20).job).status == "running":
    time.sleep(0.1)
assert job.status == "done", job
words = [result.alternatives[0].content for result in get_transcript.sync(job_id, client=api).results]
assert isinstance(get_job.sync("nosuchjob0", client=api), ErrorResponse)
print(len(words))
"""
"""A program that imports the whole client, submits a job and reads its transcript."""


def run(program: str, *arguments: str, folder: Path, missing: str) -> str:
    """What *program* of `.venv-clients` prints. Fails with *missing*, the next step, if it is not there."""
    path = TOOLS / program
    if not path.exists():
        pytest.fail(f"{path.name} is not installed in {TOOLS.name}: {missing}")
    done = subprocess.run([str(path), *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def document(server, tmp_path_factory):
    """The folder of the document, as a client gets it."""
    folder = tmp_path_factory.mktemp("document")
    with server.client() as client:
        (folder / "openapi.json").write_bytes(client.get("/openapi.json").raise_for_status().content)
    return folder


def test_a_program_compiles_with_the_types_of_the_typescript_generator(document):
    node = "node_modules/.bin/"
    run(f"{node}openapi-typescript", "openapi.json", "-o", "api.ts", folder=document, missing=NODE)
    (document / "program.ts").write_text(TYPESCRIPT)
    options = {"strict": True, "noEmit": True, "target": "es2022", "module": "es2022", "moduleResolution": "bundler"}
    only = {"types": [], "skipDefaultLibCheck": True, "noUncheckedIndexedAccess": True}
    (document / "tsconfig.json").write_text(json.dumps({"compilerOptions": options | only, "files": ["program.ts"]}))
    run(f"{node}tsc", "-p", ".", folder=document, missing=NODE)


def test_the_client_of_the_python_generator_does_a_job(server, document):
    (document / "generator.yml").write_text("post_hooks: []\n")
    where = ["--path", "openapi.json", "--output-path", "client", "--meta", "none", "--config", "generator.yml"]
    run("bin/openapi-python-client", "generate", "--fail-on-warning", *where, folder=document, missing=PYTHON)
    (document / "program.py").write_text(CLIENT)
    words = run("bin/python", "program.py", server.url, server.key, str(SPEECH), folder=document, missing=PYTHON)
    assert int(words) > 3


def test_a_missing_program_fails_with_the_command(monkeypatch, tmp_path):
    monkeypatch.setattr("tests.contract.test_generated_clients.TOOLS", tmp_path)
    with pytest.raises(pytest.fail.Exception, match=r"tsc is not installed.*`npm`.*`make test`"):
        run("node_modules/.bin/tsc", folder=tmp_path, missing=NODE)
