"""Commands that all take --json and --gateway, wherever the user writes them."""

from __future__ import annotations

from typing import Any

import click

from mistudio.cli.session import Session


def _use_json(context: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click calls it so
    if value and isinstance(context.obj, Session):
        context.obj.json = True


def _use_gateway(context: click.Context, _: click.Parameter, value: str | None) -> None:
    if value and isinstance(context.obj, Session):
        context.obj.gateway = value


def common_options() -> list[click.Parameter]:
    """Returns fresh --gateway and --json options that act on the session."""
    return [
        click.Option(
            ["--gateway"],
            metavar="ADDRESS",
            help="The gateway.",
            expose_value=False,
            hidden=True,
            callback=_use_gateway,
        ),
        click.Option(["--json"], is_flag=True, help="Print JSON for scripts.", expose_value=False, callback=_use_json),
    ]


class MeshCommand(click.Command):
    """A command with the common options."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(common_options())


class MeshGroup(click.Group):
    """A group whose commands have the common options; job kinds may be written with dashes."""

    command_class = MeshCommand
    group_class = type

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not any(option.name == "json" for option in self.params):
            self.params.extend(common_options())

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Finds a command by its name with dashes or with underscores."""
        return super().get_command(context, name) or super().get_command(context, name.replace("-", "_"))
