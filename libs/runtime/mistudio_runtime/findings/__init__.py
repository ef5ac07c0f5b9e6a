"""What a check found: one sentence and one command. Used by the gateway and by this machine's own doctor."""

from mistudio_runtime.findings.finding import Finding, fine, problem, warning

__all__ = ["Finding", "fine", "problem", "warning"]
