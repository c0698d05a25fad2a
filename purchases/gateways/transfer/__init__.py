"""Bank transfers of organisations."""
