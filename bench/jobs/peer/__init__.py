"""Celery on Redis. Its programs run in an environment of their own, without miStudio: nothing is imported here."""
