"""Hardware and lines. Imports nothing from `agent`: its values become events only in hooks, perform and daemon."""
