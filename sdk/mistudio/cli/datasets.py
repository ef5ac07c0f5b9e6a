"""`mistudio datasets preview` and `mistudio tokens preview`."""

from __future__ import annotations

import click

from mistudio.cli.command import MeshGroup
from mistudio.cli.render.datasets import render_rows, render_tokens
from mistudio.cli.session import Session
from mistudio.cli.texts import text_or_stdin


@click.group(cls=MeshGroup)
def datasets() -> None:
    """Looks into datasets."""


@datasets.command("preview")
@click.argument("artifact_id", metavar="DATASET")
@click.option("--offset", type=click.IntRange(0), default=0, help="First row, from 0.")
@click.option("--rows", type=click.IntRange(1, 100), default=10, show_default=True, help="At most so many rows.")
@click.pass_obj
def preview_rows(session: Session, artifact_id: str, offset: int, rows: int) -> None:
    """Shows rows of a dataset."""
    with session.client() as client:
        answer = client.datasets.preview(artifact_id, offset=offset, rows=rows)
    session.show(answer, lambda: render_rows(answer))


@click.group(cls=MeshGroup)
def tokens() -> None:
    """Looks at how text becomes tokens."""


@tokens.command("preview")
@click.argument("model_artifact_id", metavar="MODEL")
@click.argument("text")
@click.pass_obj
def preview_tokens(session: Session, model_artifact_id: str, text: str) -> None:
    """Shows how a model's tokenizer splits a text; "-" reads the text from the standard input."""
    with session.client() as client:
        found = list(client.datasets.preview_tokenization(model_artifact_id, text_or_stdin(text)))
    session.show({"tokens": found}, lambda: render_tokens(found, colour=session.colour))
