"""Queues at run time: which jobs stand in them, how fast they go, whether they are paused, when they are full."""
