"""Models: one method, `stream`; one file per wire dialect."""
