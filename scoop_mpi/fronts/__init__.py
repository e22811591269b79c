"""Fronts: the ranks of the job, by the names and rules of other libraries."""
