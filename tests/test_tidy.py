# SPDX-License-Identifier: Apache-2.0
"""The house rules that ruff, mypy and the import contracts cannot say. STYLE.md tells why."""

import ast
import re
import subprocess
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60
NAME_SAYS_ALL_MAX = 3  # fields of a class which needs no docstring

# Longer than the rule allows, each with its reason. An entry that is no longer needed fails.
LONG_FILES: dict[str, str] = {}
LONG_FUNCTIONS: dict[str, str] = {}
# Tests which wait for something outside the process, where polling is the only way to know.
POLLING: dict[str, str] = {
    "tests/contract/net/test_carriers.py": "time there is virtual",
    "tests/api/http/test_http_relay.py": "that nothing moves any more is seen by looking twice",
    "tests/faults/test_killed_at_work.py": "the moment of a kill is drawn; what is left settles",
    "tests/split/test_split_cloud.py": "other processes, of which some are dead",
    "tests/split/test_replicas.py": "other processes, of which some are dead",
    "tests/compat/ceph/ceph_session.py": "a health check is there when the cluster has looked",
    "tests/contract/bus/test_nats.py": "a broker that restarts tells nobody when it is back",
    "tests/machine/virt/conftest.py": "a guest in QEMU tells nobody but its console how far it is",
    "tests/machine/virt/test_guests.py": "an agent is killed at moments of a boot",
}

TELLTALES = {  # written so that they do not find themselves
    r"/wor[k]/|/hom[e]/[a-z]|/User[s]/|/roo[t]/": "a path of somebody's machine",
    r"pypi\.or[g]|pythonhoste[d]|registry\.npm[j]s|files\.python[h]": "the host of a registry",
    r"\b(FIXM[E]|XX[X]|HAC[K])\b": "unfinished work: finish it, or open an issue",
    r"\b[iI]ssue #?\d+|\bsub-?agen[t]s?\b": "the history of the work: say what is, not how it came",
}
POOR_NAMES = {"utils", "util", "misc", "manager", "common", "helpers"}


@cache
def _tracked() -> tuple[Path, ...]:
    """Every file in the index of git, or every file there is in a tree without git."""
    try:
        names = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
            text=True,
        ).stdout.splitlines()
        paths = [ROOT / name for name in names]
    except (OSError, subprocess.CalledProcessError):
        paths = [p for top in ("src", "tests", "docs", "tools") for p in (ROOT / top).rglob("*")]
    return tuple(sorted(p for p in paths if p.is_file() and "__pycache__" not in p.parts))


def _python(*tops: str) -> list[Path]:
    wanted = [ROOT / top for top in tops or ("src", "tests", "tools", "benchmarks", "demo")]
    return [p for p in _tracked() if p.suffix == ".py" and any(w in p.parents for w in wanted)]


@cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(_text(path))


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _functions(path: Path) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    def walk(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.AST]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield prefix + child.name, child
                yield from walk(child, f"{prefix}{child.name}.")
            elif isinstance(child, ast.ClassDef):
                yield from walk(child, f"{prefix}{child.name}.")
            else:
                yield from walk(child, prefix)

    yield from walk(_tree(path), "")


def _refuse(found: list[str], rule: str) -> None:
    assert not found, f"{rule}:\n  " + "\n  ".join(sorted(found))


def _against(found: set[str], allowed: dict[str, str], rule: str) -> None:
    _refuse(sorted(found - set(allowed)), rule)
    _refuse(sorted(set(allowed) - found), "allowed in a table of this file, but not needed")
    assert all(allowed.values()), "an exception needs its reason"


def test_every_source_file_names_its_licence() -> None:
    def licensed(path: Path) -> bool:
        return "SPDX-License-Identifier: Apache-2.0" in "\n".join(_text(path).split("\n")[:2])

    scripts = [p for p in _tracked() if not p.suffix and _text(p).startswith("#!")]
    assert scripts, "no script found: the list of files is wrong"
    _refuse(
        [_name(p) for p in [*_python(), *scripts] if not licensed(p)],
        "no SPDX line at the top",
    )


def test_files_are_short() -> None:
    long = {_name(p) for p in _python() if _text(p).count("\n") > FILE_LINES_MAX}
    _against(long, LONG_FILES, f"over {FILE_LINES_MAX} lines: split it by noun into a package")


def test_functions_are_short() -> None:
    long = {
        f"{_name(path)}:{name}"
        for path in _python("src", "tools", "benchmarks", "demo")
        for name, node in _functions(path)
        if (node.end_lineno or 0) - node.lineno + 1 > FUNCTION_LINES_MAX
    }
    _against(long, LONG_FUNCTIONS, f"over {FUNCTION_LINES_MAX} lines")


def test_nothing_tells_of_one_machine() -> None:
    found = []
    for path in _tracked():
        inside_guest = _name(path).startswith("tools/guest/")  # paths of the guest's own tree
        if path == Path(__file__) or inside_guest or b"\0" in path.read_bytes()[:4096]:
            continue
        for number, line in enumerate(_text(path).split("\n"), 1):
            found += [
                f"{_name(path)}:{number}: {why}"
                for pattern, why in TELLTALES.items()
                if re.search(pattern, line)
            ]
    _refuse(found, "words that do not belong in the repository")


def test_module_names_say_something() -> None:
    poor = [_name(p) for p in _python("src") if POOR_NAMES & {p.stem, p.parent.name}]
    _refuse(poor, f"a name such as {sorted(POOR_NAMES)} says nothing")


def test_what_is_public_is_documented() -> None:
    found = []
    for path in _python("src"):
        tree = _tree(path)
        if not ast.get_docstring(tree):
            found.append(f"{_name(path)}: the module")
        for node in tree.body:
            if (
                isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
                and not node.name.startswith("_")
                and not ast.get_docstring(node)
                and not (isinstance(node, ast.ClassDef) and len(node.body) <= NAME_SAYS_ALL_MAX)
            ):
                found.append(f"{_name(path)}:{node.lineno}: {node.name}")
    _refuse(found, "public, but without a docstring")


def test_contract_methods_are_documented() -> None:
    found = []
    for path in _python("src/octostack/contracts"):
        for name, node in _functions(path):
            decorators = {ast.unparse(d) for d in node.decorator_list}
            if decorators & {"abstractmethod", "abc.abstractmethod"} and not ast.get_docstring(
                node
            ):
                found.append(f"{_name(path)}:{node.lineno}: {name}")
    _refuse(found, "a promise without a docstring")


def test_pure_packages_await_nothing() -> None:
    found = [
        f"{_name(path)}:{node.lineno}: async {name}"
        for path in _python("src")
        if {"core", "wire"} & {*path.relative_to(ROOT).parts, path.stem}
        for name, node in _functions(path)
        if isinstance(node, ast.AsyncFunctionDef)
    ]
    _refuse(found, "core and wire are pure: they await nothing")


def test_only_supervisors_catch_everything() -> None:
    found = []
    for path in _python("src"):
        lines = _text(path).split("\n")
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.ExceptHandler):
                names = ast.unparse(node.type) if node.type else "BaseException"
                reraises = any(isinstance(n, ast.Raise) for n in node.body)
                everything = re.search(r"\b(Base)?Exception\b", names)
                if everything and not reraises and "#" not in lines[node.lineno - 1]:
                    found.append(f"{_name(path)}:{node.lineno}")
    _refuse(found, "catches everything and its line does not say why this is a supervisor")


def test_ignores_name_what_they_ignore() -> None:
    bare = re.compile(r"#\s*type:\s*ignore(?!\[)|#\s*noqa(?!:)")
    found = [
        f"{_name(path)}:{number}"
        for path in _python()
        if path != Path(__file__)
        for number, line in enumerate(_text(path).split("\n"), 1)
        if bare.search(line)
    ]
    _refuse(found, "an ignore without a code")


def test_names_of_test_files_are_unique() -> None:
    names = Counter(p.name for p in _python("tests") if p.name.startswith("test_"))
    _refuse([name for name, count in names.items() if count > 1], "two test files of one name")


def test_skips_have_reasons() -> None:
    found = []
    for path in _python("tests"):
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.Call):
                called, given = ast.unparse(node.func), node.args or node.keywords
                reason = any(k.arg == "reason" for k in node.keywords)
                if (called.endswith("mark.skipif") and not reason) or (
                    called in {"pytest.skip", "pytest.mark.skip", "pytest.mark.xfail"} and not given
                ):
                    found.append(f"{_name(path)}:{node.lineno}")
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                bare = {ast.unparse(d) for d in node.decorator_list}
                if bare & {"pytest.mark.skip", "pytest.mark.xfail"}:
                    found.append(f"{_name(path)}:{node.lineno}")
    _refuse(found, "skipped without a reason")


def test_tests_neither_mock_nor_sleep() -> None:
    mocks = [
        _name(path)
        for path in _python("tests")
        if path != Path(__file__) and re.search(r"unittest\.mock|MagicMock|mocker\b", _text(path))
    ]
    _refuse(mocks, "a mock repeats what it should test: use a small real thing")
    sleeping = set()
    for path in _python("tests"):
        if ROOT / "tests" / "sim" in path.parents:
            continue  # virtual time
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {
                "time.sleep",
                "asyncio.sleep",
                "anyio.sleep",
            }:
                zero = (
                    node.args and isinstance(node.args[0], ast.Constant) and not node.args[0].value
                )
                if not zero:
                    sleeping.add(_name(path))
    _against(sleeping, POLLING, "sleeps; wait for the thing itself, or use virtual time")


def test_every_dependency_has_its_reason() -> None:
    reasons = re.compile(r'^\s+"(?P<name>[A-Za-z0-9-]+)[^"]*",\s*(?P<why>#\s*\S.+)?$')
    project = _text(ROOT / "pyproject.toml").split("[project.scripts]")[0]
    found = [
        match["name"]
        for line in project.split("\n")
        if (match := reasons.match(line)) and not match["why"]
    ]
    for listed in ("tools/packages-apt.txt", "requirements/clients.in"):
        found += [
            f"{listed}: {line}"
            for line in _text(ROOT / listed).split("\n")
            if line.strip() and not line.startswith("#") and not re.search(r"#\s*\S.+", line)
        ]
    _refuse(found, "a dependency without a word of why")


@pytest.mark.parametrize("lock", ["base", "dev", "clients"])
def test_locks_cover_what_is_asked_for(lock: str) -> None:
    text = _text(ROOT / f"requirements/{lock}.txt")
    locked = set(re.findall(r"^([a-z0-9-]+)==", text, re.M))
    project = tomllib.loads(_text(ROOT / "pyproject.toml"))["project"]
    if lock == "clients":
        asked = re.findall(r"^[a-z][a-z0-9.-]*", _text(ROOT / "requirements/clients.in"), re.M)
    else:
        extras = project["optional-dependencies"]
        asked = project["dependencies"] + (extras["dev"] if lock == "dev" else [])
    names = {re.match(r"[A-Za-z0-9.-]+", a)[0].lower().replace(".", "-") for a in asked}  # type: ignore[index]
    _refuse(sorted(names - locked), "not locked: run `make lock`")
    unhashed = re.findall(r"^([a-z0-9-]+)==[^\\]*$", text, re.M)
    _refuse(unhashed, "locked without a hash")


def test_locks_agree() -> None:
    pins = [
        dict(re.findall(r"^([a-z0-9-]+)==(\S+)", _text(ROOT / f"requirements/{lock}.txt"), re.M))
        for lock in ("base", "dev")
    ]
    _refuse(
        [name for name, version in pins[0].items() if pins[1].get(name) != version],
        "base and dev locked to different versions: run `make lock`",
    )


def test_links_between_documents_lead_somewhere() -> None:
    found = []
    for path in [p for p in _tracked() if p.suffix == ".md"]:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", _text(path)):
            if "://" not in target and not (path.parent / target).exists():
                found.append(f"{_name(path)}: {target}")
    _refuse(found, "a link that leads nowhere")
