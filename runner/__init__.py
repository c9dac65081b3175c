"""runner: one YAML file becomes a voice agent that talks, and keeps talking while people edit the file."""

__version__ = "0.1.0"
