"""Prompts: template, soft prompt, perplexity and batched generation."""
