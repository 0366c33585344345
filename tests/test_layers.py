"""The folders are layers, and imports only point downwards."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "intact"

# Each layer, and what it may import besides itself.
LAYERS: dict[str, frozenset[str]] = {
    "model": frozenset(),
    "system": frozenset({"model"}),
    "plan": frozenset({"model"}),
    "state": frozenset({"model", "plan", "system"}),
    "trust": frozenset({"model", "system"}),
    "bundle": frozenset({"model", "system", "trust"}),
    "transaction": frozenset({"model", "plan", "system", "state", "trust", "bundle"}),
    "operations": frozenset({"model", "plan", "system", "state", "trust", "bundle", "transaction"}),
    "cli": frozenset({"model", "plan", "system", "state", "trust", "bundle", "transaction", "operations"}),
}

# Modules that may name these although they are not the door to the disk, with the reason.
CHANGES_THE_DISK = {
    "state/next_generation.py": "SQLite writes a scratch file of its own in the private directory",
}
CHANGING_CALLS = re.compile(
    r"\bos\.(?:rename|replace|unlink|remove|rmdir|mkdir|makedirs|link|symlink|chmod|chown|truncate|fsync|write|mknod)\b"
    r"|\.(?:write_text|write_bytes|unlink|rename|replace_file_in_place|rmdir|mkdir|symlink_to|hardlink_to|chmod|touch)\("
    r"|\bshutil\.(?:rmtree|move|copy|copy2|copytree|chown)\b"
)
IMPURE = frozenset(
    {"os", "io", "time", "socket", "subprocess", "shutil", "sqlite3", "tempfile", "pathlib", "random"}
)
BANNED = re.compile(
    r"\brealpath\b|\babspath\b|\bcommonpath\b|shell=True|\bpickle\b|\beval\(|\byaml\b|TemporaryDirectory"
)
FORBIDDEN_WORDS = frozenset({"util", "utils", "helper", "helpers", "manager", "handle", "handler"})


def modules() -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*.py") if path.parent != SOURCE)


def _name(path: Path) -> str:
    return str(path.relative_to(SOURCE))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def _statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """Yield what a module does at its top; of `if TYPE_CHECKING: … else: …`, what it does when it runs."""
    for node in tree.body:
        yield from node.orelse if isinstance(node, ast.If) else [node]


def _docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text())) or ""


def test_every_module_is_in_a_layer() -> None:
    assert {path.relative_to(SOURCE).parts[0] for path in modules()} == set(LAYERS)
    assert [path.name for path in SOURCE.glob("*.py")] == ["__init__.py"]


@pytest.mark.parametrize("path", modules(), ids=_name)
def test_imports_point_downwards(path: Path) -> None:
    layer = path.relative_to(SOURCE).parts[0]
    for imported in _imports(path):
        if imported.startswith("intact."):
            target = imported.split(".")[1]
            assert target == layer or target in LAYERS[layer], f"{_name(path)} imports {imported}"


def test_there_is_no_import_cycle() -> None:
    graph = {
        "intact." + _name(path)[:-3].replace("/", "."): {
            one for one in _imports(path) if one.startswith("intact.")
        }
        for path in modules()
    }
    done: set[str] = set()

    def visit(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, " → ".join((*way, module))
        if module not in done:
            for following in sorted(graph.get(module, ())):
                visit(following, (*way, module))
            done.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize("path", [path for path in modules() if "system" not in path.parts], ids=_name)
def test_only_the_system_layer_changes_the_disk(path: Path) -> None:
    found = CHANGING_CALLS.findall(path.read_text())
    assert not found or _name(path) in CHANGES_THE_DISK, found


@pytest.mark.parametrize("path", modules(), ids=_name)
def test_nothing_dangerous_is_used(path: Path) -> None:
    text = path.read_text()
    assert not BANNED.findall(text)
    if _name(path) != "bundle/deb.py":
        assert "import tarfile" not in text


@pytest.mark.parametrize("path", [one for one in modules() if one.name != "__init__.py"], ids=_name)
def test_a_pure_module_cannot_touch_the_world(path: Path) -> None:
    if _docstring(path).startswith("Pure."):
        assert not {one.split(".")[0] for one in _imports(path)} & IMPURE


@pytest.mark.parametrize("path", modules(), ids=_name)
def test_every_module_says_its_question_and_stays_small(path: Path) -> None:
    assert _docstring(path)
    tree = ast.parse(path.read_text())
    assert len(path.read_text().splitlines()) <= 450
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            assert not set(re.split(r"_|(?<=[a-z])(?=[A-Z])", node.name.lower())) & FORBIDDEN_WORDS, node.name
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 75, f"{node.name} is long"


@pytest.mark.parametrize("path", [one for one in modules() if one.name != "__init__.py"], ids=_name)
def test_the_front_door_is_what_is_named(path: Path) -> None:
    tree = ast.parse(path.read_text())
    names: list[str] = []
    defined: set[str] = set()
    for node in _statements(tree):
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and node.targets[0].id == "__all__"
        ):
            names = ast.literal_eval(node.value)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            defined.add(node.name)
        elif isinstance(node, ast.Assign):
            defined |= {one.id for one in node.targets if isinstance(one, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            defined.add(node.target.id)
    assert set(names) <= defined | {"Progress"}, set(names) - defined
    public_definitions = {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    }
    assert public_definitions <= set(names), public_definitions - set(names)


def test_every_import_goes_through_a_front_door() -> None:
    doors: dict[str, set[str]] = {}
    for path in modules():
        for statement in ast.parse(path.read_text()).body:
            name = statement.targets[0] if isinstance(statement, ast.Assign) else None
            if isinstance(statement, ast.Assign) and isinstance(name, ast.Name) and name.id == "__all__":
                module = "intact." + _name(path)[:-3].replace("/", ".")
                doors[module] = set(ast.literal_eval(statement.value))
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module in doors:
                missing = {alias.name for alias in node.names} - doors[node.module]
                assert not missing, f"{_name(path)} takes {missing} from {node.module}"
