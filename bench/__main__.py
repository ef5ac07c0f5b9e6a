"""`python -m bench`: runs every benchmark, one after the other."""

from bench.jobs.__main__ import main

if __name__ == "__main__":
    main()
