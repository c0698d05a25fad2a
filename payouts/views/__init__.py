"""The way out's pages."""
