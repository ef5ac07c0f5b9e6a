"""The ingest service: brings datasets, models and SAEs into the store, and text into token blocks."""
