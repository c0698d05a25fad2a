"""The house keeps its shape: who may import whom, one door for states, no room too large."""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Bottom to top: each floor may import those before it.
FLOORS = ["carbonsink", "trees", "purchases", "payouts"]
# The doors of an app. Services import no doors; models import neither.
DOORS = {"views", "api", "admin", "tasks", "urls", "api_urls", "forms", "management", "apps", "demo", "templatetags"}
DOORS |= {"desk_views", "growth_views", "import_admin"}
# Where somebody reaches the demo or the admin's common parts by name.
SERVICES_THAT_RING_BELLS = "tasks"
# What the outside is made of and nothing else: the stand-ins know neither Django nor the platform.
STANDINS_MAY_IMPORT = {"carbonsink.standins"}


def sources(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path for path in found if "__pycache__" not in path.parts]


OURS = sources(*FLOORS)
CODE = [path for path in OURS if "migrations" not in path.parts]
ALL = [*OURS, *sources("tests")]


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def place(path: Path, node: ast.AST | None = None) -> str:
    return f"{path.relative_to(ROOT)}{f':{node.lineno}' if node is not None else ''}"  # type: ignore[attr-defined]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[tuple[ast.AST, str]]:
    """Every module a file imports, also inside functions; `from a import b` counts as `a.b`."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name
        elif isinstance(node, ast.ImportFrom):
            package = path.relative_to(ROOT).parts[: -node.level] if node.level else ()
            base = ".".join([*package, *filter(None, [node.module])])
            for alias in node.names:
                yield node, f"{base}.{alias.name}"


def test_the_code_was_found() -> None:
    assert len(CODE) > 100
    assert {path.relative_to(ROOT).parts[0] for path in CODE} == set(FLOORS)


def test_floors_import_only_those_below() -> None:
    wrong = []
    for path in OURS:
        floor = FLOORS.index(path.relative_to(ROOT).parts[0])
        for node, name in imports(path):
            top = name.partition(".")[0]
            if top == "tests" or (top in FLOORS and FLOORS.index(top) > floor):
                wrong.append(f"{place(path, node)} imports {name}")
    assert wrong == []


def layer(name: str) -> str:
    """models, services or doors: by the second part of the name (third below carbonsink)."""
    parts = name.split(".")
    room = parts[2:3] if parts[0] == "carbonsink" and parts[1:2] in (["accounts"], ["ledger"]) else parts[1:2]
    if room and room[0] in DOORS:
        return "doors"
    return "models" if room == ["models"] else "services"


def test_inside_an_app_doors_import_services_and_services_import_models() -> None:
    wrong = []
    for path in CODE:
        own = module_name(path)
        app, mine = own.split(".")[0], layer(own)
        if app == "carbonsink" and not own.startswith(("carbonsink.accounts", "carbonsink.ledger")):
            continue  # The ground floor's own modules are below all apps; the floor test covers them.
        for node, name in imports(path):
            if name.split(".")[0] not in FLOORS[1:] and not name.startswith(
                ("carbonsink.accounts", "carbonsink.ledger")
            ):
                continue
            theirs = layer(name)
            same_app = name.split(".")[:1] == [app]
            upwards = (mine == "models" and theirs == "doors") or (mine == "services" and theirs == "doors")
            own_services = mine == "models" and theirs == "services" and same_app and "models" not in name
            rings = layer(own) == "services" and SERVICES_THAT_RING_BELLS in name.split(".")
            if (upwards and not rings) or own_services:
                wrong.append(f"{place(path, node)} ({mine}) imports {name} ({theirs})")
    assert wrong == []


def test_services_ring_bells_only_inside_functions() -> None:
    """Tasks import services, so a service imports its task where it rings, never at its top."""
    wrong = []
    for path in CODE:
        if layer(module_name(path)) == "doors":
            continue
        for node in tree(path).body:
            if isinstance(node, ast.ImportFrom) and node.module and node.module.endswith(".tasks"):
                wrong.append(place(path, node))
    assert wrong == []


def test_standins_know_nothing_of_the_platform_or_django() -> None:
    wrong = []
    for path in sources("carbonsink/standins"):
        for node, name in imports(path):
            ours = name.split(".")[0] in FLOORS
            allowed = any(name.startswith(prefix) for prefix in STANDINS_MAY_IMPORT)
            if (ours and not allowed) or name.split(".")[0] in ("django", "rest_framework", "celery"):
                wrong.append(f"{place(path, node)} imports {name}")
    assert wrong == []


def test_only_the_embedded_servers_and_tests_know_the_embedded_servers() -> None:
    wrong = [
        f"{place(path, node)} imports {name}"
        for path in CODE
        for node, name in imports(path)
        if name.startswith("carbonsink.embedded")
        and not module_name(path).startswith(("carbonsink.embedded", "payouts.demo"))
    ]
    assert wrong == []


def test_states_are_set_in_one_place() -> None:
    """Elsewhere nobody assigns `.state`, updates it in bulk, or writes it by SQL; making an object in a state is fine."""
    wrong = []
    for path in CODE:
        if module_name(path) == "carbonsink.states" or module_name(path).startswith(
            ("carbonsink.standins", "carbonsink.embedded")
        ):
            continue
        for node in ast.walk(tree(path)):
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign) and any(
                isinstance(part, ast.Attribute) and part.attr == "state"
                for target in targets
                if target is not None
                for part in ast.walk(target)
            ):
                wrong.append(place(path, node))
            if isinstance(node, ast.Call):
                called = getattr(node.func, "attr", getattr(node.func, "id", ""))
                keywords = {keyword.arg for keyword in node.keywords}
                texts = [arg.value for arg in ast.walk(node) if isinstance(arg, ast.Constant)]
                if called == "update" and "state" in keywords:
                    wrong.append(place(path, node))
                if called == "setattr" and "state" in texts[:1]:
                    wrong.append(place(path, node))
                if called == "bulk_update" and "state" in texts:
                    wrong.append(place(path, node))
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                words = node.value.upper().split()
                if (
                    "UPDATE" in words
                    and "SET" in words
                    and "STATE" in words[words.index("SET") : words.index("SET") + 2]
                ):
                    wrong.append(place(path, node))
    assert wrong == []


def test_errors_are_never_swallowed_whole() -> None:
    wrong = []
    for path in CODE:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ExceptHandler):
                bare = node.type is None
                names = {part.id for part in ast.walk(node.type) if isinstance(part, ast.Name)} if node.type else set()
                silent = all(isinstance(line, ast.Pass | ast.Continue) for line in node.body)
                if bare or ({"Exception", "BaseException"} & names and silent):
                    wrong.append(place(path, node))
            if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "suppress":
                names = {part.id for arg in node.args for part in ast.walk(arg) if isinstance(part, ast.Name)}
                if {"Exception", "BaseException"} & names:
                    wrong.append(place(path, node))
    assert wrong == []


def test_no_room_is_called_after_nothing() -> None:
    forbidden = {"utils", "util", "helpers", "helper", "common", "misc", "core"}
    assert [place(path) for path in ALL if forbidden & set(Path(place(path)).with_suffix("").parts)] == []


@pytest.mark.parametrize("floor", [*FLOORS, "tests"])
def test_no_module_is_longer_than_400_lines(floor: str) -> None:
    long = {place(path): len(path.read_text().splitlines()) for path in ALL if "migrations" not in path.parts}
    assert {name: count for name, count in long.items() if name.startswith(floor) and count > 400} == {}


def lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """How long a function is, without its signature and docstring."""
    body = function.body[1:] if ast.get_docstring(function) and len(function.body) > 1 else function.body
    return (function.end_lineno or 0) - body[0].lineno + 1


def test_no_function_is_longer_than_60_lines() -> None:
    long = {
        f"{place(path, node)} {node.name}": lines(node)
        for path in [*CODE, *sources("tests")]
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: count for name, count in long.items() if count > 60} == {}


def test_nothing_prints() -> None:
    wrong = [
        place(path, node)
        for path in CODE
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("print", "breakpoint")
    ]
    assert wrong == []


def test_no_signal_of_a_model_changes_data_behind_a_service() -> None:
    """What happens on a move is listed in `AppConfig.ready` (`on_move`); Django's model signals are not used."""
    signals = {"pre_save", "post_save", "pre_delete", "post_delete", "m2m_changed", "pre_init", "post_init"}
    wrong = [
        f"{place(path, node)} {name}"
        for path in CODE
        for node, name in imports(path)
        if name.startswith("django.db.models.signals") and name.rpartition(".")[2] in signals
    ]
    assert wrong == []


def test_listeners_are_registered_in_one_place_a_floor() -> None:
    calls = [
        place(path)
        for path in CODE
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "on_move"
    ]
    assert calls, "nobody listens any more: does this test still look for the right name?"
    assert {Path(call).name for call in calls} == {"apps.py"}
