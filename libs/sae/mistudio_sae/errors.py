"""What can be wrong with a request to the science library; each message is one sentence that says what to change."""


class ScienceError(ValueError):
    """A permanent error: the same input fails the same way again, so retrying is useless."""

    failure_reason = "INVALID_INPUT"
    """What a program may branch on; UPPER_SNAKE_CASE."""


class HookPointError(ScienceError):
    """A hook point that cannot be parsed, or that the model at hand does not have."""


class ModelLoadError(ScienceError):
    """A language model folder that is missing, incomplete, of an unknown kind, or not stored as safetensors."""


class TokensFormatError(ScienceError):
    """A tokens artifact that is damaged, or that does not fit the model it is used with."""


class SaeFormatError(ScienceError):
    """An SAE on disk whose keys, shapes or values are not those of its declared layout."""


class CheckpointError(ScienceError):
    """A training checkpoint that belongs to another run or cannot be written."""


class ConfigError(ScienceError):
    """A configuration value that is out of range or contradicts another one.

    `field` is the name of the offending field, so that a caller can point at it.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


class DivergenceError(ScienceError):
    """A training run whose loss, gradients or activations stopped being finite.

    `hook` names the hook point and `configuration` describes the SAE that diverged ("" when the model itself did);
    `reason` is the message without them.
    """

    def __init__(self, hook: str, configuration: str, message: str) -> None:
        subject = f"{hook} with {configuration}" if configuration else hook
        super().__init__(f"{subject}: {message}")
        self.hook = hook
        self.configuration = configuration
        self.reason = message


class OutOfMemoryError(ScienceError):
    """A computation that does not fit into memory in any way that is known; the message says what to lower."""

    failure_reason = "OUT_OF_MEMORY"
