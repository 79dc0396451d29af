"""A year of deliveries in minutes: the real decisions, with clock, vendor and engine simulated."""
