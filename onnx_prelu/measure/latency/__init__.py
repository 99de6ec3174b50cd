"""Two models timed side by side."""
