"""How fast, against what: the same work in every lane, interleaved, in one run."""
