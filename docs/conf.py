"""The documentation: `sphinx-build -nW docs build/docs`. It needs no network."""

import builtins
import inspect
import re
import sys
from enum import Enum
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "shared"), str(ROOT / "docs")]

import attrs  # noqa: E402  the path to the packages comes first
from docutils import nodes  # noqa: E402
from sphinx.addnodes import pending_xref  # noqa: E402
from sphinx.application import Sphinx  # noqa: E402
from tables import with_tables  # noqa: E402

from sdk_core.version import __version__  # noqa: E402

project = "membership-cloudcockpit-sdk"
author = "The authors of membership-cloudcockpit-sdk"
copyright = "MIT licensed"  # noqa: A001  Sphinx's name
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["conftest.py"]
default_role = "literal"
highlight_language = "none"
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_default_options = {"member-order": "bysource", "undoc-members": True}
autodoc_class_signature = "mixed"
autodoc_preserve_defaults = True
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_inherit_docstrings = False
maximum_signature_line_length = 80
python_use_unqualified_type_names = True
add_module_names = False
# Names of other projects have no page here, and the build asks no other site for theirs.
nitpick_ignore_regex = [("py:.*", r".*")]

html_theme = "furo"
html_title = f"membership-cloudcockpit-sdk {release}"
html_static_path = ["_static"]
html_css_files = ["own.css"]
html_search_scorer = str(Path(__file__).with_name("search_scorer.js"))
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}

_COLON = "\ue000"
"""Stands for a colon while napoleon reads: what comes before one in an attribute's text is not its type."""
_NAMED = re.compile(r"(?<== )(?:attr_dict\['(\w+)'\]\.default|(_?[A-Z][A-Z_]+)(?=[,)]))")
_SECTION = re.compile(r"(Args|Attributes|Example|Examples|Note|Raises|Returns|Warns|Yields):")


def _before_napoleon(_app: Sphinx, what: str, _name: str, _obj: object, _options: Any, lines: list[str]) -> None:
    """Hide the colons of attributes; make literal blocks of what is indented, as the sources mean it."""
    if what in {"attribute", "data", "property"}:
        lines[:] = [line.replace(":", _COLON) for line in lines]
    lines[:] = _with_literal_blocks(lines)


def _after_napoleon(_app: Sphinx, what: str, _name: str, _obj: object, _options: Any, lines: list[str]) -> None:
    if what in {"attribute", "data", "property"}:
        lines[:] = [line.replace(_COLON, ":") for line in lines]


def _with_literal_blocks(lines: list[str]) -> list[str]:
    """Put `::` before pictures and tables in a docstring: they are drawn with spaces."""
    result: list[str] = []
    in_section = in_block = False
    for line in lines:
        if line.strip() and not line.startswith((" ", "|")):
            in_section, in_block = _SECTION.fullmatch(line) is not None, False
        elif line.strip() and not in_section and not in_block and (not result or not result[-1].strip()):
            in_block = True
            result += ["::", ""]
        result.append(f"    {line}" if in_block and line.startswith("|") else line)
    return result


def _without_signature(
    _app: Sphinx, what: str, _name: str, _obj: object, _options: Any, signature: str | None, _returns: str | None
) -> tuple[str, None] | None:
    """Errors are raised by the SDK: what they are built from is nobody's to pass."""
    return ("", None) if what == "exception" and signature else None


def _with_defaults(
    _app: Sphinx, _what: str, _name: str, obj: Any, _options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None] | None:
    """Put values in place of names that readers can't look up: constants, and what attrs' generated code names."""
    if signature is None:
        return None
    known = getattr(inspect.unwrap(obj.__init__ if isinstance(obj, type) else obj), "__globals__", {})

    def value_of(found: re.Match[str]) -> str:
        field, constant = found.groups()
        value = attrs.fields_dict(obj)[field].default if field else known.get(constant, found)
        if value is found:
            return found[0]
        if value is attrs.NOTHING or getattr(value, "__name__", "").startswith("_"):
            return "..."
        if isinstance(value, Enum):
            return str(value)
        return f"{value.__module__}.{value.__name__}".removeprefix("builtins.") if callable(value) else repr(value)

    return _NAMED.sub(value_of, signature).replace("= NOTHING", "= ..."), returns


def _put_tables(_app: Sphinx, _page: str, content: list[str]) -> None:
    content[0] = with_tables(content[0])


def _unlink_builtins(_app: Sphinx, doctree: nodes.document) -> None:
    """Make plain text of `type` and the like: they would lead to a model's attribute of that name."""
    for reference in list(doctree.findall(pending_xref)):
        if hasattr(builtins, reference["reftarget"]):
            reference.replace_self(nodes.Text(reference["reftarget"]))


def setup(app: Sphinx) -> None:
    """Sphinx calls this."""
    app.connect("autodoc-process-docstring", _before_napoleon, priority=400)
    app.connect("autodoc-process-docstring", _after_napoleon, priority=600)
    app.connect("source-read", _put_tables)
    app.connect("autodoc-process-signature", _without_signature)
    app.connect("autodoc-process-signature", _with_defaults)
    app.connect("doctree-read", _unlink_builtins)
