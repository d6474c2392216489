"""The files around the package: they agree with each other, and the Makefile says what is missing."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable
from importlib.metadata import packages_distributions
from pathlib import Path

import build_site
import pytest
import torch
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from lpvq import VQVAE

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {"data", "lpvq", "notebooks", "output", "tests"}
FILES = {"CHANGELOG.md", "CITATION.cff", "LICENSE", "MANIFEST.in", "Makefile", "README.md", "environment.yml"}
FILES |= {"pyproject.toml", "requirements.txt"}
MEGABYTE = 1_000_000
LARGER_THAN_2_MB = ("data/pretrained/",)

MACHINE_PATH = re.compile(r"/(?:root|home|work|tmp|Users)/\w|[A-Z]:\\+Users\b")
PACKAGE_INDEX = re.compile(
    r"pypi\.org|pythonhosted\.org|download\.pytorch\.org|--(?:extra-)?index-url|--find-link[s]|file:/{2}", re.IGNORECASE
)


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def pins() -> list[Requirement]:
    return [Requirement(line.split(" --hash=")[0]) for line in lines_of_the_lock()]


def lines_of_the_lock() -> list[str]:
    """requirements.txt as pip reads it: without comments, and what is continued on the next line in one."""
    text = re.sub(r"^ *#.*\n", "", (ROOT / "requirements.txt").read_text(), flags=re.MULTILINE)
    return [" ".join(line.split()) for line in text.replace("\\\n", " ").splitlines()]


def tracked_files() -> list[str]:
    """What git has or would take, by its path from the top."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def declared(project: dict) -> list[Requirement]:
    """Every requirement of pyproject.toml, those of the extras too; an extra may name another one of its own."""
    extras = project["optional-dependencies"].values()
    every = [Requirement(line) for lines in [project["dependencies"], *extras] for line in lines]
    return [requirement for requirement in every if requirement.name != project["name"]]


def lines_that_match(pattern: re.Pattern) -> list[str]:
    found = []
    for name in tracked_files():
        if name.endswith(".ipynb"):
            continue  # holds pictures as text, in which anything may occur; test_notebooks.py looks into it
        try:
            lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        found += [f"{name}:{number}: {line.strip()}" for number, line in enumerate(lines, 1) if pattern.search(line)]
    return found


# --- pyproject.toml, requirements.txt and environment.yml agree


def test_every_requirement_is_one_exact_public_version(pins):
    loose = [str(pin) for pin in pins if not re.fullmatch(r"==[\w.]+", str(pin.specifier))]
    assert not loose  # a "+" would be a local build, which nobody else can install
    names = [canonicalize_name(pin.name) for pin in pins]
    assert len(names) == len(set(names)), "a package stands there twice, so what is tested depends on the machine"


def test_everything_that_pyproject_asks_for_is_pinned_within_its_bounds(project, pins):
    versions = {canonicalize_name(pin.name): Version(str(pin.specifier)[2:]) for pin in pins}
    wrong = {
        str(requirement): str(versions.get(canonicalize_name(requirement.name)))
        for requirement in declared(project)
        if versions.get(canonicalize_name(requirement.name)) not in requirement.specifier
    }
    assert not wrong, "run `make lock`"


def test_what_pyproject_asks_for_is_needed_on_every_platform(project, pins):
    # What is asked for on some platforms only, has no wheels for the others.
    names = {canonicalize_name(requirement.name) for requirement in declared(project) if not requirement.marker}
    assert not [str(pin) for pin in pins if canonicalize_name(pin.name) in names and pin.marker]


def test_every_requirement_has_the_checksums_of_its_files_and_nothing_else():
    for line in lines_of_the_lock():
        _, *options = line.split(" --")
        assert options, line
        assert [option for option in options if not re.fullmatch(r"hash=sha256:[0-9a-f]{64}", option)] == [], line


def test_the_lock_says_how_it_is_made_and_one_version_of_the_tool_makes_it():
    header = (ROOT / "requirements.txt").read_text().splitlines()[:2]
    assert any("make lock" in line for line in header)
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(r"^UV := \d+\.\d+\.\d+$", makefile, re.MULTILINE)
    assert re.search(r"pip.* install .*\buv==\$\(UV\)$", makefile, re.MULTILINE | re.IGNORECASE)


def test_conda_installs_what_pip_installs(project):
    text = (ROOT / "environment.yml").read_text()
    environment = yaml.safe_load(text)
    *conda, pip = environment["dependencies"]
    # Not with the package beside it: a folder has no checksum, and beside those that have one pip refuses it.
    assert pip == {"pip": ["-r requirements.txt"]}
    assert f"conda run -n {environment['name']} pip install --no-deps --no-build-isolation --editable .\n" in text
    python = Requirement(next(name for name in conda if name.startswith("python")).replace("=", "=="))
    assert Version(str(python.specifier)[2:]) in SpecifierSet(project["requires-python"])


def test_the_lock_is_made_for_the_oldest_python_that_is_allowed(project):
    oldest = project["requires-python"].removeprefix(">=")
    assert f"--python-version {oldest} " in (ROOT / "Makefile").read_text()


# --- what is imported is declared: for the core, and for the two rooms that need an extra


def requirements_of(project: dict, *extras: str) -> set[str]:
    """The packages that the core asks for, and the extras with what they build upon."""
    lines = [*project["dependencies"]]
    for extra in extras:
        lines += project["optional-dependencies"][extra]
    asked = [Requirement(line) for line in lines]
    names = {canonicalize_name(each.name) for each in asked if each.name != project["name"]}
    inner = [extra for each in asked if each.name == project["name"] for extra in each.extras]
    return names | (requirements_of(project, *inner) if inner else set())


def packages_imported_by(sources: Iterable[str]) -> set[str]:
    """The packages that some code imports anywhere, as they are called where packages are installed from."""
    modules = set()
    for source in sources:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.module and not node.level
                modules.add(node.module.split(".")[0])
    paths = [path for folder in ("tests", "notebooks") for path in (ROOT / folder).rglob("*.py")]
    ours = {"lpvq"} | {path.parent.name if path.stem == "__init__" else path.stem for path in paths}
    installed = packages_distributions()
    return {canonicalize_name(installed.get(name, [name])[0]) for name in modules - ours - sys.stdlib_module_names}


def code_of(folder: str, belongs: Callable[[str], bool]) -> list[str]:
    """The sources below a folder, those whose path from there ``belongs``."""
    paths = sorted((ROOT / folder).rglob("*.py"))
    return [path.read_text() for path in paths if belongs(path.relative_to(ROOT / folder).as_posix())]


def needs_classroom(path: str) -> bool:
    return path.startswith("classroom/")


def needs_notebooks(path: str) -> bool:
    processes = ("course/processes.py", "course/one_of_several.py")  # that a notebook starts
    return path.startswith("course/widgets/") or path in ("plotting.py", *processes)  # the first shows in a notebook


def test_the_core_asks_for_what_it_imports_and_for_nothing_else(project):
    core = code_of("lpvq", lambda path: not needs_classroom(path) and not needs_notebooks(path))
    pictures = packages_imported_by(code_of("lpvq", lambda path: path == "plotting.py"))
    assert packages_imported_by(core) | pictures == requirements_of(project) | {"ipython"}


def test_the_rooms_that_need_more_ask_for_it(project):
    classroom, notebooks = requirements_of(project, "classroom"), requirements_of(project, "notebooks")
    assert packages_imported_by(code_of("lpvq", needs_classroom)) | requirements_of(project) == classroom
    assert packages_imported_by(code_of("lpvq", needs_notebooks)) <= notebooks


def test_the_notebooks_import_what_their_extra_brings(project):
    cells = [
        "".join(cell["source"])
        for name in tracked_files()
        if name.startswith("notebooks/") and name.endswith(".ipynb")
        for cell in json.loads((ROOT / name).read_text(encoding="utf-8"))["cells"]
        if cell["cell_type"] == "code"
    ]
    assert {"torch", "lpvq"} <= {word for cell in cells for word in cell.split()}
    assert packages_imported_by(cells) <= requirements_of(project, "notebooks")


def test_the_tests_import_what_their_extra_brings(project):
    assert packages_imported_by(code_of("tests", lambda path: True)) <= requirements_of(project, "test")


def test_the_site_is_made_with_what_its_extra_brings(project):
    site = requirements_of(project, "site")
    assert packages_imported_by(code_of("notebooks", lambda path: path.startswith(".site/"))) <= site


def test_the_wheel_has_every_room_of_the_package():
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    rooms = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "lpvq").rglob("__init__.py")}
    assert rooms == set(setuptools["packages"]) - set(setuptools["package-dir"])


# --- what others read: who forks, who cites, who updates


def test_a_fork_runs_on_github_what_runs_here(project):
    workflow = yaml.load((ROOT / ".github/workflows/ci.yml").read_text(), yaml.BaseLoader)  # where "on" is a word
    assert {"push", "pull_request"} <= set(workflow["on"])
    (job,) = workflow["jobs"].values()
    *prepared, last = job["steps"]
    assert last == {"run": "bash .ci/run"} and (ROOT / ".ci/run").exists()
    uses = {step["uses"].split("@")[0]: step for step in prepared}
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"]) for step in prepared)
    with_ = uses["actions/setup-python"]["with"]
    assert Version(with_["python-version"]) in SpecifierSet(project["requires-python"])
    assert with_["cache"] == "pip" and (ROOT / with_["cache-dependency-path"]).exists()
    assert "actions/checkout" in uses


def test_a_fork_publishes_its_site_as_make_makes_it():
    workflow = yaml.load((ROOT / ".github/workflows/site.yml").read_text(), yaml.BaseLoader)
    steps = workflow["jobs"]["make"]["steps"]
    assert {"run": "make --no-print-directory site"} in steps
    (upload,) = [step for step in steps if step.get("uses", "").startswith("actions/upload-pages-artifact@")]
    assert upload["with"]["path"] == build_site.SITE.relative_to(ROOT).as_posix()
    publish = workflow["jobs"]["publish"]
    assert publish["needs"] == "make" and publish["if"] == "github.event_name == 'push'"
    assert publish["permissions"] == {"pages": "write", "id-token": "write"}
    assert workflow["on"]["push"] == {"branches": ["main"]}


def test_the_citation_says_what_the_package_says(project):
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "abstract", "authors"} <= citation.keys()  # the first three are required
    assert citation["cff-version"] == "1.2.0"
    assert citation["authors"] == [{"name": "The lpvq authors"}]
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
    assert citation["title"].startswith(f"{project['name']}: ")


def test_the_changelog_has_the_form_that_it_names(project):
    lines = (ROOT / "CHANGELOG.md").read_text().splitlines()
    versions = [line.removeprefix("## ") for line in lines if line.startswith("## ")]
    assert versions[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", version) for version in versions[1:])
    kinds = {line.removeprefix("### ") for line in lines if line.startswith("### ")}
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_version_stands_in_one_place(project):
    found = [line for line in lines_that_match(re.compile(rf"\b{re.escape(project['version'])}\b"))
             if not line.startswith(("requirements.txt", "CHANGELOG.md"))]  # fmt: skip
    assert {line.split(":")[0] for line in found} == {"pyproject.toml", "CITATION.cff"}  # which a test above compares


# --- what is in the repository


def test_the_top_level_holds_only_what_the_design_names():
    tops = {name.split("/")[0] for name in tracked_files()}
    assert not {top for top in tops if not top.startswith(".")} - FOLDERS - FILES


def test_no_file_names_a_folder_of_one_machine():
    assert not lines_that_match(MACHINE_PATH)


def test_no_file_names_a_package_index():
    assert not lines_that_match(PACKAGE_INDEX)


@pytest.mark.parametrize("line", ["see /" + "home/ada/lpvq", "saved in /" + "tmp/x", "C:" + r"\Users\ada"])
def test_a_folder_of_one_machine_is_recognised(line):
    assert MACHINE_PATH.search(line)


@pytest.mark.parametrize("line", ["https://pypi" + ".org/simple", "--extra-" + "index-url x", "torch @ file" + ":///x"])
def test_a_package_index_is_recognised(line):
    assert PACKAGE_INDEX.search(line)


def test_large_files_stay_out_but_for_the_trained_weights():
    sizes = {name: (ROOT / name).stat().st_size / MEGABYTE for name in tracked_files()}
    assert not {name: size for name, size in sizes.items() if size > 2 and not name.startswith(LARGER_THAN_2_MB)}
    weights = sum(size for name, size in sizes.items() if name.startswith("data/pretrained/"))
    assert weights < 14


# --- the Makefile, tried in an empty folder with interpreters that are not what they should be


@pytest.fixture
def checkout(tmp_path) -> Path:
    for name in ("Makefile", "requirements.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def make(checkout: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, timeout=60)


def fake_python(checkout: Path, script: str) -> str:
    """Write an interpreter in shell; ``$*`` is what it was called with."""
    path = checkout / "fake_python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return f"PYTHON={path}"


# A virtual environment whose pip notes its calls and fails where the test wants it to.
FAKE_VENV = """case "$*" in *venv*--clear*) ;; *) exit 0;; esac
mkdir -p .venv/bin && touch .venv/bin/pip
cat > .venv/bin/python <<'END'
#!/bin/sh
echo "$*" >> calls
case "$*" in *"$(cat fail_at 2>/dev/null || echo never)"*) exit 1;; esac
END
chmod +x .venv/bin/python
for name in lpvq pytest; do ln -sf /bin/true .venv/bin/$name; done"""


def test_make_alone_lists_every_target(checkout):
    listed = set(re.findall(r"^make (\w+)", make(checkout).stdout, re.MULTILINE))
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None
    assert listed == set(phony[1].split())
    assert {"demo", "test", "lab", "notebooks", "pretrained", "lint", "lock"} <= listed


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("case $* in *version_info*) exit 1;; esac", "older than Python 3.11"),
        ("case $* in *ensurepip*) exit 1;; esac", "sudo apt install python3-venv"),
    ],
)
def test_an_interpreter_that_will_not_do_is_refused_in_one_line(checkout, script, message):
    result = make(checkout, "demo", fake_python(checkout, script))
    said = [line for line in result.stderr.splitlines() if "***" not in line]
    assert result.returncode == 2
    assert len(said) == 1 and message in said[0]
    assert not (checkout / ".venv").exists()


def test_a_missing_interpreter_is_named(checkout):
    result = make(checkout, "demo", "PYTHON=python0.1")
    assert result.returncode == 2
    assert "python0.1 is not here: install Python 3.11 or newer" in result.stderr


def test_a_second_make_installs_nothing(checkout):
    python = fake_python(checkout, FAKE_VENV)
    assert make(checkout, "demo", python).returncode == 0
    calls = (checkout / "calls").read_text()
    assert calls.index("--require-hashes --requirement requirements.txt") < calls.index("--no-deps")
    assert make(checkout, "test", python).returncode == 0
    assert (checkout / "calls").read_text() == calls


@pytest.mark.parametrize("failing", ["--requirement", "--editable"])
def test_an_interrupted_install_is_done_again(checkout, failing):
    python = fake_python(checkout, FAKE_VENV)
    (checkout / "fail_at").write_text(failing)
    assert make(checkout, "demo", python).returncode == 2
    (checkout / "fail_at").unlink()
    assert make(checkout, "demo", python).returncode == 0
    assert (checkout / "calls").read_text().count(failing) == 2


def test_another_index_for_torch_leaves_what_it_needs_of_cuda_out(checkout):
    python = fake_python(checkout, FAKE_VENV)
    assert make(checkout, "demo", python, "TORCH_INDEX=https://example.org/cpu").returncode == 0
    calls = (checkout / "calls").read_text()
    versions = dict(re.findall(r"^(torch|torchvision)==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE))
    assert f"torch=={versions['torch']} torchvision=={versions['torchvision']}" in calls
    kept = (checkout / ".venv" / "others.txt").read_text()
    assert not re.search(r"^(torch=|torchvision=|triton|nvidia|cuda)", kept, re.MULTILINE)
    assert "torchmetrics==" in kept and "numpy==" in kept
    assert kept.count("==") > 100 and kept.count("--hash=") > 1000


@pytest.mark.parametrize("changed", ["requirements.txt", "pyproject.toml"])
def test_a_change_of_the_requirements_is_installed(checkout, changed):
    python = fake_python(checkout, FAKE_VENV)
    make(checkout, "demo", python)
    stamp = checkout / ".venv" / "installed"
    later = stamp.stat().st_mtime + 1
    os.utime(checkout / changed, (later, later))
    make(checkout, "demo", python)
    assert (checkout / "calls").read_text().count("--requirement") == 2


# --- the README


def test_the_examples_of_the_readme_run():
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 2
    here = {"start_sequence": torch.zeros(2, 5, dtype=torch.int64), "vqvae": VQVAE(3, 512, 16, 8)}
    for block in blocks:
        exec(block, here)
    assert here["generated_image"].shape == (2, 3, 128, 128) and here["images"].shape == (3, 3, 32, 32)


def test_the_pictures_and_files_that_the_readme_names_are_there():
    for page in (ROOT / "README.md", ROOT / "notebooks" / "README.md", ROOT / "notebooks" / "RESULTS.md"):
        targets = re.findall(r"\]\(([^)\s]+)\)", page.read_text())
        parts = [(target, *target.partition("#")[::2]) for target in targets if "://" not in target]
        missing = [target for target, path, _ in parts if not (page.parent / path).exists()]
        assert parts and not missing
        for target, path, anchor in parts:
            heading = page if not path else page.parent / path
            assert not anchor or anchor in anchors_of(heading), target


def anchors_of(page: Path) -> set[str]:
    """The headings of a page as links name them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
