"""`mistudio features …`."""

from __future__ import annotations

from itertools import islice

import click

from mistudio import v1
from mistudio.cli.command import MeshGroup
from mistudio.cli.follow.watch import watch_to_end
from mistudio.cli.render.features import render_feature, render_features
from mistudio.cli.render.traces import render_traces
from mistudio.cli.session import Session
from mistudio.cli.spec.values import ShortName
from mistudio.cli.texts import text_or_stdin

_ORDERS = list(ShortName(v1.FeatureOrder.DESCRIPTOR).numbers)


@click.group(cls=MeshGroup)
def features() -> None:
    """Reads features: what each latent of an SAE fires on."""


@features.command("list")
@click.argument("artifact_id", metavar="FEATURES")
@click.option("--order", type=click.Choice(_ORDERS), default=_ORDERS[0], show_default=True, help="The order.")
@click.option("--reverse", is_flag=True, help="The other way round.")
@click.option("--min-density", type=float, help="Only features at least so dense.")
@click.option("--max-density", type=float, help="Only features at most so dense.")
@click.option("--include-dead", is_flag=True, help="Latents that never fired, too.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many.")
@click.pass_obj
def list_features(  # noqa: PLR0917 - click passes them by name
    session: Session,
    artifact_id: str,
    order: str,
    reverse: bool,  # noqa: FBT001 - click calls it so
    min_density: float | None,
    max_density: float | None,
    include_dead: bool,  # noqa: FBT001 - click calls it so
    limit: int,
) -> None:
    """Lists features, each with its best example."""
    with session.client() as client:
        listing = client.features.list(
            artifact_id,
            order=order,
            reverse=reverse,
            min_density=min_density,
            max_density=max_density,
            include_dead=include_dead,
            page_size=min(limit, 1000),
        )
        found = list(islice(listing, limit))
    session.show({"features": found}, lambda: render_features(found, colour=session.colour))


@features.command()
@click.argument("artifact_id", metavar="FEATURES")
@click.argument("latent", type=click.IntRange(0))
@click.option("--examples", type=click.IntRange(1), default=10, show_default=True, help="At most so many contexts.")
@click.pass_obj
def show(session: Session, artifact_id: str, latent: int, examples: int) -> None:
    """Shows everything about one feature."""
    with session.client() as client:
        feature = client.features.get(artifact_id, latent)
    colour = session.colour
    session.show(feature, lambda: render_feature(feature, examples=examples, colour=colour))


@features.command()
@click.argument("artifact_id", metavar="FEATURES")
@click.argument("query")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="At most so many.")
@click.pass_obj
def search(session: Session, artifact_id: str, query: str, limit: int) -> None:
    """Finds features that fire most on a token with this text."""
    with session.client() as client:
        found = list(client.features.search(artifact_id, query, limit=limit))
    session.show({"features": found}, lambda: render_features(found, colour=session.colour))


@features.command()
@click.argument("artifact_id", metavar="FEATURES")
@click.argument("text")
@click.option("--features", "count", type=click.IntRange(1, 100), default=10, show_default=True, help="So many.")
@click.pass_obj
def activate(session: Session, artifact_id: str, text: str, count: int) -> None:
    """Runs a text through model and SAE and shows which features fire where; "-" reads the standard input."""
    with session.client() as client:
        answer = client.features.activate(artifact_id, text_or_stdin(text), features=count)
    session.show(answer, lambda: render_traces(answer, colour=session.colour))


@features.command()
@click.argument("artifact_id", metavar="FEATURES")
@click.argument("latent", type=click.IntRange(0))
@click.option("--label", help="What you call it.")
@click.option("--star/--no-star", "starred", default=None, help="Star it, or take the star away.")
@click.pass_obj
def update(
    session: Session,
    artifact_id: str,
    latent: int,
    label: str | None,
    starred: bool | None,  # noqa: FBT001 - click calls it so
) -> int:
    """Changes label and star of a feature, and waits until it is done."""
    with session.client() as client:
        job = client.features.update(artifact_id, latent, label=label, starred=starred)
    return watch_to_end(session, [job.proto])
