"""The docs are under test: what they list is what there is."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

ROW = re.compile(r"^\| `(?P<name>[^`]+)` \|(?P<cells>.*)\|$")
LINK = re.compile(r"\]\((?P<target>[^)#\s]+)(?:#[^)\s]*)?\)")


def normalised(requirement: str) -> str:
    """The package's name alone, as indexes compare it: lower case, one dash between parts."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name, requirement
    return re.sub(r"[-_.]+", "-", name.group()).lower()


SECTIONS = ["Product", "Extras", "Build", "Development", "Servers", "Clients", "Agent frameworks"]


def declared(section: str) -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    groups = {
        "Product": project["dependencies"],
        "Extras": extras["onnx-asr"],
        "Build": extras["build"],
        "Development": extras["dev"],
        "Servers": extras["servers"],
        "Clients": extras["clients"],
        "Agent frameworks": agent_plugins(),
    }
    return sorted(normalised(each) for each in groups[section])


def agent_plugins() -> set[str]:
    """What `constraints/agents/` has beside the packages that the plugins share."""
    lists = [page for page in (ROOT / "constraints" / "agents").glob("*.txt") if page.stem != "shared"]
    assert lists
    return {name for page in lists for name in re.findall(r"^[a-z-]+", page.read_text(), re.MULTILINE)}


def rows(section: str) -> list[re.Match[str]]:
    page = (DOCS / "dependencies.md").read_text()
    _, _, rest = page.partition(f"\n## {section}\n")
    body, _, _ = rest.partition("\n## ")
    return [row for line in body.splitlines() if (row := ROW.match(line))]


def test_no_group_of_dependencies_is_left_out() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert sorted(project["optional-dependencies"]) == ["build", "clients", "dev", "onnx-asr", "servers"], (
        "a new extra needs its section in the page"
    )


@pytest.mark.parametrize("section", SECTIONS)
def test_every_direct_dependency_has_its_line_and_no_line_is_left_over(section: str) -> None:
    assert sorted(normalised(row["name"]) for row in rows(section)) == declared(section)


@pytest.mark.parametrize("section", SECTIONS)
def test_a_line_gives_purpose_licence_and_weight(section: str) -> None:
    for row in rows(section):
        cells = [cell.strip() for cell in row["cells"].split("|")]
        assert len(cells) == 3, row["name"]
        purpose, licence, weight = cells
        assert len(purpose.split()) >= 3, row["name"]
        assert licence, row["name"]
        assert re.fullmatch(r"<?\d+\.\d", weight), row["name"]


def test_the_index_of_decisions_lists_each_page_once() -> None:
    folder = DOCS / "decisions"
    pages = sorted(page.name for page in folder.glob("[0-9]*.md"))
    index = (folder / "README.md").read_text()
    assert pages
    assert [link["target"] for link in LINK.finditer(index)] == pages


PAGES = [*(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")), *sorted(DOCS.rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = [link["target"] for link in LINK.finditer(page.read_text())]
    broken = [each for each in targets if "://" not in each and not (page.parent / each).exists()]
    assert not broken


# ── blocks of commands ──

BLOCK = re.compile(r"^( *)```(?:sh|bash)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
QUOTED = re.compile(r"""'[^']*'|"(?:\\.|[^"\\])*"|<<'?(\w+)'?.*?\n\1\b""", re.DOTALL)


def blocks() -> list[tuple[str, str]]:
    pages = [*sorted(DOCS.rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    return [
        (page.relative_to(ROOT).as_posix(), found[2]) for page in pages for found in BLOCK.finditer(page.read_text())
    ]


def test_commands_can_be_pasted_into_every_shell() -> None:
    """Into bash, dash and zsh, which has no comments at its prompt, and takes a bare `?` for a pattern of file names."""
    found = blocks()
    assert len(found) > 60
    for page, code in found:
        for shell in filter(shutil.which, ("bash", "zsh")):
            read = subprocess.run([shell, "-n", "-c", code], capture_output=True, text=True, check=False)
            assert (read.returncode, read.stderr) == (0, ""), (page, code)
        bare = QUOTED.sub("Q", code)
        assert not re.search(r"(^|\s)#|[?\[\]]", bare, re.MULTILINE), (page, code)


def test_commands_need_no_new_curl() -> None:
    """Ubuntu 20.04 has 7.68: `--json` came with 7.82, `--fail-with-body` with 7.76, `--url-query` with 7.87."""
    for page, code in blocks():
        for line in code.replace("\\\n", " ").splitlines():
            if re.search(r"\bcurl\b", line):
                assert not re.search(r"--(json|fail-with-body|url-query|retry-all-errors|output-dir)\b", line), (
                    page,
                    line,
                )
