"""What is to be seen of a job from outside: its log, and profiles."""
