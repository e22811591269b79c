"""`ci/links` finds what is wrong with a site, and nothing where all is well."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.launch import ROOT

OTHER = '<h1 id="top">Other</h1>'


def check(site: Path, body: str) -> tuple[int, str]:
    """Check a site with a page of this body; return the status, and what is wrong."""
    site.mkdir()
    (site / "picture.png").touch()
    (site / "other.html").write_text(OTHER)
    (site / "index.html").write_text(f"<body>{body}</body>")
    command = [sys.executable, str(ROOT / "ci" / "links"), str(site)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return run.returncode, run.stderr


@pytest.mark.parametrize(
    "body",
    [
        '<a href="other.html">other</a>',
        '<a href="other.html#top">its top</a>',
        '<p id="here"><a href="#here">here</a>',
        '<a href="https://example.org/nothing">elsewhere</a>',
        '<img src="picture.png" alt="two curves">',
        '<svg role="img" aria-label="two curves"></svg>',
        "<svg></svg>",
    ],
)
def test_what_is_well(tmp_path: Path, body: str) -> None:
    assert check(tmp_path / "site", body) == (0, "")


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ('<a href="nothing.html">gone</a>', "leads to nothing"),
        ('<script src="gone.js"></script>', "leads to nothing"),
        ('<a href="other.html#bottom">gone</a>', "leads to a place that its page doesn't have"),
        ('<a href="#there">gone</a>', "leads to a place that its page doesn't have"),
        ('<a href="../index.html">above</a>', "leads out of the site"),
        ('<img src="picture.png">', "has no text that says what it shows"),
        ('<img src="picture.png" alt="">', "has no text that says what it shows"),
        ('<img src="picture.png" alt="folder/picture.png">', "has no text that says what it shows"),
        ('<svg role="img"></svg>', "has no text that says what it shows"),
    ],
)
def test_what_is_wrong(tmp_path: Path, body: str, complaint: str) -> None:
    status, errors = check(tmp_path / "site", body)
    assert status == 1
    assert errors.startswith("ci/links: index.html, line 1: ")
    assert complaint in errors


def test_a_site_that_is_not_there(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "ci" / "links"), str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 2
    assert "build them with ci/docs" in run.stderr
