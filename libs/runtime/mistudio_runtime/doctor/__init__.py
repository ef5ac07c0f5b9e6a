"""What `mistudio doctor` looks at on this machine, as a program of its own."""
