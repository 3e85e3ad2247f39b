"""Programs that make the documents."""
