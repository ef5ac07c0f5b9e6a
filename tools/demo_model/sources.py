"""Read the English documentation that a CPython installation carries.

Three sources, all under the PSF licence: the language reference topics of ``pydoc``, the
standard library's own source (docstrings with their signatures, and comment blocks), and the
docstrings of the modules that are written in C.
"""

import ast
import importlib
import inspect
import io
import sys
import sysconfig
import tokenize
from collections.abc import Iterator
from pathlib import Path
from pydoc_data.topics import topics as topic_texts
from types import ModuleType

SKIPPED_PARTS = frozenset({"test", "tests", "idle_test", "site-packages", "turtledemo", "pydoc_data", "__pycache__"})
MIN_COMMENT_LINES = 3
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def topics() -> Iterator[tuple[str, str]]:
    """Yield ``(name, text)`` of every topic of ``pydoc_data.topics``."""
    for name in sorted(topic_texts):
        yield f"topic/{name}", topic_texts[name]


def library_modules() -> Iterator[tuple[str, str]]:
    """Yield ``(name, text)`` of each standard-library module: outline, docstrings, comments."""
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*.py")):
        relative = path.relative_to(root)
        if SKIPPED_PARTS.isdisjoint(relative.parts):
            source = path.read_text(encoding="utf-8", errors="replace")
            yield f"lib/{relative.as_posix()}", module_outline(source)


def compiled_modules() -> Iterator[tuple[str, str]]:
    """Yield ``(name, text)`` of each standard module written in C: its members' docstrings."""
    for name in sorted(sys.stdlib_module_names):
        if "test" in name or _is_python(name):
            continue
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue  # the module belongs to another platform
        yield f"c/{name}", "\n\n".join(_member_docs(module))


def module_outline(source: str) -> str:
    """Return the module's docstring, documented definitions and comment blocks in file order.

    A source that does not parse gives an empty text.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return ""
    pieces = [*_docstrings(tree), *_comment_blocks(source)]
    return "\n\n".join(text for _, text in sorted(pieces))


def _docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    head = ast.get_docstring(tree)
    if head:
        yield 0, head
    for node in ast.walk(tree):
        if isinstance(node, Definition):
            text = ast.get_docstring(node)
            if text:
                yield node.lineno, f"{_signature(node)}\n{_indent(text)}"


def _signature(node: Definition) -> str:
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(ast.unparse(base) for base in node.bases)
        return f"class {node.name}({bases}):" if bases else f"class {node.name}:"
    prefix = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    return f"{prefix} {node.name}({ast.unparse(node.args)}):"


def _indent(text: str) -> str:
    return "\n".join(f"    {line}" if line else "" for line in text.splitlines())


def _comment_blocks(source: str) -> Iterator[tuple[int, str]]:
    block: list[tuple[int, str]] = []
    for line, text in [*_full_line_comments(source), (-1, "")]:
        if block and line != block[-1][0] + 1:
            if len(block) >= MIN_COMMENT_LINES:
                yield block[0][0], "\n".join(text for _, text in block)
            block = []
        block.append((line, text))


def _full_line_comments(source: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and token.line.lstrip().startswith("#"):
            yield token.start[0], token.string


def _is_python(name: str) -> bool:
    root = Path(sysconfig.get_path("stdlib"))
    return (root / f"{name}.py").exists() or (root / name).is_dir()


def _member_docs(module: ModuleType) -> Iterator[str]:
    yield inspect.cleandoc(module.__doc__ or "")
    for name, member in sorted(vars(module).items()):
        if name.startswith("_") or not callable(member):
            continue
        yield _described(name, member)
        if isinstance(member, type):
            for attribute, value in sorted(vars(member).items()):
                yield _described(f"{name}.{attribute}", value)


def _described(name: str, member: object) -> str:
    text = getattr(member, "__doc__", None)
    if not isinstance(text, str) or isinstance(member, (int, float, str, bytes, tuple)):
        return ""
    signature = getattr(member, "__text_signature__", None) or "(...)"
    return f"{name}{signature}\n{_indent(inspect.cleandoc(text))}"
