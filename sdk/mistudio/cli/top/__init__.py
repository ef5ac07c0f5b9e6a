"""A live view of queues, workers and jobs."""
