"""Stand-ins for the outside parts of the money's way, for demo and tests only.

Each stand-in is a process of its own that speaks a gateway's or a bank's signed protocol over HTTP, keeps
its own book, and can be told to misbehave. Nothing here imports the platform, and the platform imports
nothing from here: the two sides know each other by protocol and key files alone, so each checks the other.
"""
