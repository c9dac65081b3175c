"""Whose turn it is: how the turns of caller and agent begin and end."""
