"""The tables, their cards and recorded priors, the draws and the result files."""
