"""`python -m bench`: runs every benchmark, one after the other."""

from bench import job_plane

if __name__ == "__main__":
    job_plane.main()
