"""The demo: the whole platform on one machine, and one tree's way through it before your eyes."""
