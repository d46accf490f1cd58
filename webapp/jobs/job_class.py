"""The only jobs that our workers run."""

from rq.job import Job


class SptarJob(Job):
    """A job."""
