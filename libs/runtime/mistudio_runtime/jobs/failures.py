"""How a job kind says that it failed or stopped.

Besides these classes, any exception with a `failure_reason` attribute (UPPER_SNAKE_CASE) is a permanent failure whose
text is shown to the user: so libraries that know nothing of jobs can name their own.
"""

from mistudio_runtime.jobs.stop import Stop


class JobFailure(Exception):  # noqa: N818 - the field says "failure" for what a job ends with
    """An attempt failed; the message is one sentence for the user that says what to change."""

    def __init__(self, message: str, *, reason: str) -> None:
        """Takes the sentence and a stable reason in UPPER_SNAKE_CASE."""
        super().__init__(message)
        self.message = message
        self.reason = reason


class PermanentFailure(JobFailure):
    """No other attempt can succeed without a change of spec or inputs."""

    def __init__(self, message: str, *, reason: str = "INVALID_INPUT") -> None:
        """Takes the sentence and a stable reason."""
        super().__init__(message, reason=reason)


class TransientFailure(JobFailure):
    """Another attempt may succeed."""

    def __init__(self, message: str, *, reason: str = "TRANSIENT") -> None:
        """Takes the sentence and a stable reason."""
        super().__init__(message, reason=reason)


class JobStoppedError(Exception):
    """The job obeyed a stop request; what it needs to go on is in its scratch folder."""

    def __init__(self, stop: Stop) -> None:
        """Takes the request that was obeyed."""
        super().__init__(stop.value)
        self.stop = stop
