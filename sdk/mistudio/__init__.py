"""Python SDK of miStudio mesh."""
