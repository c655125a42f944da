"""One kernel against a library, on arrays in memory."""
