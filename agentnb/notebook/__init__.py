"""The notebook side: extension, magics, cells, live display, the sidebar's comm."""
