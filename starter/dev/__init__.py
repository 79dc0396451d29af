"""What development runs by itself: PostgreSQL, a Temporal server, the whole stack."""
