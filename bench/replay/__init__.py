"""The replay bench: what a replayed request costs under respool, under its peers, and at the least.

Every cell (a player, a client, a number of interactions on the tape) is measured in a process of its own, and every
round measures all of them once. The limit is the client itself, answered on its lowest hook from a dictionary.
"""
