"""Healing: a model with a pruned vocabulary learns from the unpruned one."""
