"""What runs on the terminal."""

__version__ = "0.1.0"
