"""Summaries of clusters by a language model: asked for once, held against the evidence, paid for once."""
