"""A module that takes longer to import than the grace of a toy worker: the first process of a job waits for it."""

import time

SECONDS = 4.0
time.sleep(SECONDS)
