"""The job plane beside Celery. The peer's environment imports this package too: nothing is imported here."""
