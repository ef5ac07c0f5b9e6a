"""Side-by-side measurements: each prints a table and, last, one JSON object."""
