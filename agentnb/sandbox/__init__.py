"""Places where code runs apart from the notebook: a code interpreter, and a browser."""
