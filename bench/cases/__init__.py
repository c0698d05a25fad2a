"""One module for each case; `bench.__main__` lists them."""
