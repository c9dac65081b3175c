"""Daily rooms, and the telephones that Daily holds."""
