"""The tools that come with agentnb: Python, a shell, the web, files, and a look at a variable."""
