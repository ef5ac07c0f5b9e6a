"""What every service stands on: job contract, broker, worker loop, isolation, serving, artifacts, telemetry."""
