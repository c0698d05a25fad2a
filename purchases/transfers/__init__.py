"""Bank transfers: reading the bank's statement, finding whose order a transfer pays, and what people answer."""
