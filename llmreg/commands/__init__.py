"""The commands of `llmreg`, one file each.

A file has a function `add`, which describes the command to the parser and names the
function that runs it.
"""
