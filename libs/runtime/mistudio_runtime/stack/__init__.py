"""The stack of one machine: broker, gateway and the workers of a profile, as supervised processes."""
