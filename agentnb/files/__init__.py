"""The workspace's files as a person handles them: listed, searched, changed with a way back, brought in, quoted."""
