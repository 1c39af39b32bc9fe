"""The arm and its table as a picture, drawn in software."""
