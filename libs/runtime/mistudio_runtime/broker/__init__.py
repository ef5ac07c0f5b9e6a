"""The NATS side of the mesh: names, connection, provisioning, the embedded server."""
