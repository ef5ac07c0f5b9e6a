"""Writes docs/api.md from the contract: `python tools/api_page`; with --check only tells whether it is current."""

from __future__ import annotations

import argparse
import difflib
import sys
from pathlib import Path

from page import render

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "api.md"


def main() -> None:
    """Writes the page, or ends with 1 and a diff if it is not current."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; end with 1 if the page is not current")
    checking = parser.parse_args().check
    new = render()
    old = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    if not checking:
        PAGE.write_text(new, encoding="utf-8")
    elif old != new:
        diff = difflib.unified_diff(old.splitlines(), new.splitlines(), "committed", "generated", lineterm="", n=1)
        sys.exit("\n".join(["docs/api.md is not current: run 'make api-page' and commit it", *diff]))


if __name__ == "__main__":
    main()
