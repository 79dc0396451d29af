"""A server of the Model Context Protocol: an assistant asks the HTTP API, by tools."""
