"""HTTP shared by all destinations: one bounded request, address checks, redaction."""
