"""The demo: raw text to readable features in one command."""
