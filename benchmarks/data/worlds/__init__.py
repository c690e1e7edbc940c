"""Worlds: tables that simulators make, of which no language model has seen a row.

A world is a generator here, `NAME.py`, with `SEED`, `N_ROWS` and `make(rng)`, and a
card, `cards/NAME.json`. The table that it makes lies in `tables/`, what a language
model said of the card in `priors/` and `knowledge/`. `making` makes tables anew.
"""
