"""This process and its machine: cores, how Python was started, its output."""
