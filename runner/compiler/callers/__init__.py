"""What was said, by whom, in which language, and whom the agent answers."""
