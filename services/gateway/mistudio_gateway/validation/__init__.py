"""What a job request must satisfy before it is recorded: all that is wrong is said at once."""

from mistudio_gateway.validation.request import fits, looks_at_files, validate_request, validate_spec
from mistudio_gateway.validation.scope import Scope

__all__ = ["Scope", "fits", "looks_at_files", "validate_request", "validate_spec"]
