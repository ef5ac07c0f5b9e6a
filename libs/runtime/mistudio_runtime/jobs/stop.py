"""Why a running job is asked to stop."""

from enum import StrEnum


class Stop(StrEnum):
    """What a running job is asked to do; it looks at every step."""

    CANCEL = "cancel"
    """End now; nothing of it is wanted."""
    PAUSE = "pause"
    """Write a checkpoint if the job kind has them, then end; it will be resumed."""
    DRAIN = "drain"
    """As PAUSE, because the worker ends; another one goes on at once."""
    FINISH = "finish"
    """End soon and keep what there is; kinds that cannot do not hear of it, and go on."""
