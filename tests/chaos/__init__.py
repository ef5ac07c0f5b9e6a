"""Faults of every kind while real jobs run on a real mesh, and an auditor afterwards: `python -m chaos --help`."""
