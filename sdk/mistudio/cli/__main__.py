"""python -m mistudio.cli: the same as `mistudio`."""

from mistudio.cli.main import main

main()
