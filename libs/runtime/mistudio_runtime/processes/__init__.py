"""Supervised child processes that never outlive their supervisor."""
