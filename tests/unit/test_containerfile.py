"""A linter of image definitions: the rules of hadolint that matter here, without the program, and a syntax check of each RUN."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(
    path
    for path in (ROOT / "deploy").rglob("*")
    if path.is_file() and re.search(r"(container|docker)file", path.name, re.IGNORECASE) and path.suffix != ".toml"
)
_KNOWN = "ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL RUN SHELL STOPSIGNAL USER VOLUME WORKDIR"
KNOWN = set(_KNOWN.split())
SECRET = re.compile(r"(?i)(password|secret|token|api_?key)\w*=\S")


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Each instruction with its arguments, without comments and continued lines joined."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            yield word, rest.strip()


def faults(text: str) -> list[str]:
    """What is wrong with an image definition."""
    found = list(instructions(text))
    return [*_of_words(found), *_of_stages(found), *_of_the_end(found), *_of_runs(found)]


def _of_words(found: list[tuple[str, str]]) -> Iterator[str]:
    for word, rest in found:
        if word not in KNOWN:
            yield f"{word}: not an instruction to use (ADD and MAINTAINER have better ones)"
        if word in {"ENV", "ARG"} and SECRET.search(rest):
            yield f"{word}: a secret stays in the image"
        if word == "WORKDIR" and not rest.startswith("/"):
            yield "WORKDIR: not an absolute path"
        if word in {"CMD", "ENTRYPOINT"} and not _is_list(rest):
            yield f"{word}: not in JSON form, so a shell would get the signals"
        if word == "EXPOSE" and not all(port.isdigit() and int(port) <= 65535 for port in rest.split()):
            yield f"EXPOSE: {rest}"


def _of_stages(found: list[tuple[str, str]]) -> Iterator[str]:
    stages: list[str] = []
    set_here: set[str] = set()
    for word, rest in found:
        if word == "FROM":
            image, *name = re.split(r"\s+AS\s+", rest)
            if image not in stages and (":" not in image or image.endswith(":latest")):
                yield f"FROM: {image} has no fixed tag"
            stages += name
            set_here = set()
        if word in {"ARG", "ENV"}:
            set_here |= set(re.findall(r"(\w+)=", rest))
        if word == "COPY" and (source := re.match(r"--from=(\S+)", rest)) and source[1] not in stages:
            yield f"COPY: there is no stage {source[1]}"
        if word == "RUN":
            used = set(re.findall(r"\$\{?(\w+)", rest)) - {"PATH", "HOME"}
            yield from (f"RUN: {name} is not set in this stage" for name in sorted(used - set_here))


def _of_the_end(found: list[tuple[str, str]]) -> Iterator[str]:
    last = max(index for index, (word, _) in enumerate(found) if word == "FROM")
    words = dict(found[last:])
    for word in ("USER", "ENTRYPOINT", "HEALTHCHECK"):
        if word not in words:
            yield f"the last stage has no {word}"
    if words.get("USER", "0").partition(":")[0] in {"0", "root"}:
        yield "the last stage runs as root"
    for word in ("CMD", "ENTRYPOINT", "HEALTHCHECK"):
        if sum(each == word for each, _ in found[last:]) > 1:
            yield f"{word}: only the last one counts"


def _of_runs(found: list[tuple[str, str]]) -> Iterator[str]:
    environment = " ".join(rest for word, rest in found if word == "ENV")
    for word, rest in found:
        if word != "RUN" or _is_list(rest):
            continue
        if subprocess.run(["sh", "-n"], input=rest, text=True, capture_output=True).returncode:
            yield f"RUN: the shell cannot read {rest}"
            continue
        words = shlex.split(rest)
        if "sudo" in words or "cd" in words:
            yield "RUN: use USER and WORKDIR instead of sudo and cd"
        if "apt-get" in words and not {"--no-install-recommends", "rm"} <= set(words):
            yield "RUN: apt-get without --no-install-recommends, or its lists stay"
        if "pip" in words and "install" in words:
            pinned = "--require-hashes" in words or "--no-deps" in words
            if not pinned:
                yield "RUN: pip install without hashes"
            if "PIP_NO_CACHE_DIR=1" not in environment and "--no-cache-dir" not in words:
                yield "RUN: the cache of pip stays in the image"
        if "|" in words and "pipefail" not in rest:
            yield "RUN: a failure before the pipe is not noticed"


def _is_list(text: str) -> bool:
    try:
        return isinstance(json.loads(text), list)
    except ValueError:
        return False


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_an_image_definition_has_no_faults(path: Path) -> None:
    assert faults(path.read_text()) == []


def test_the_image_definition_is_found() -> None:
    assert [path.name for path in FILES] == ["Containerfile"]


GOOD = """FROM python:3.13-slim AS build
ENV PIP_NO_CACHE_DIR=1
RUN pip install --require-hashes -r product.txt
FROM python:3.13-slim
COPY --from=build /opt /opt
USER 10001:10001
HEALTHCHECK CMD ["true"]
ENTRYPOINT ["sottovoce"]
"""


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("", "", None),
        ("python:3.13-slim AS", "python AS", "no fixed tag"),
        ("python:3.13-slim AS", "python:latest AS", "no fixed tag"),
        ("--from=build", "--from=built", "no stage built"),
        ("USER 10001:10001\n", "", "no USER"),
        ("10001:10001", "root", "runs as root"),
        ('["sottovoce"]', "sottovoce serve", "not in JSON form"),
        ("HEALTHCHECK", "ADD x y\nHEALTHCHECK", "ADD: not an instruction"),
        ("PIP_NO_CACHE_DIR=1", "A=1", "the cache of pip stays"),
        ("--require-hashes ", "", "without hashes"),
        ("pip install", "cd /x && pip install", "USER and WORKDIR"),
        ("pip install", "if pip install", "the shell cannot read"),
        ("product.txt", "$LIST", "LIST is not set"),
        ("product.txt", "product.txt | tee log", "before the pipe"),
        ("RUN pip", "RUN apt-get install x\nRUN pip", "its lists stay"),
        ("ENV PIP", "ENV API_KEY=abc PIP", "a secret stays"),
        ("USER", "WORKDIR data\nUSER", "not an absolute path"),
        ("USER", "EXPOSE 80800\nUSER", "EXPOSE: 80800"),
    ],
)
def test_a_fault_is_noticed(before: str, after: str, told: str | None) -> None:
    found = faults(GOOD.replace(before, after))
    assert (found == []) if told is None else any(told in fault for fault in found), found
