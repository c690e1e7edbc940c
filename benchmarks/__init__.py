"""Experiments with llmreg: data sets, methods, and the programs that compare them."""
