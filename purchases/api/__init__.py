"""The market's API. The server prices; what a client says of prices is not read."""
