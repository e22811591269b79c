"""Random programs, run on several ranks and compared with what they give serially."""

TREES = 30  # that a job runs, unless told
