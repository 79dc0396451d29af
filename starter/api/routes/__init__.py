"""One file a noun; each route reads, asks the parts that do it, and shapes the answer."""
