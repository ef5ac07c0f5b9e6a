"""The gateway: public API, job ledger, progress fan-out, forwarding."""
