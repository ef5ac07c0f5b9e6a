"""Which job kinds can finish early."""

CAN_FINISH = frozenset({"train_sae", "extract_features"})
"""Kinds whose result so far is worth keeping. Each asks `JobContext.finish_requested` at every step and, if it is set,
commits what there is."""
