"""Services that take over when one fails."""
