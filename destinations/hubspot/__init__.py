"""HubSpot as a destination: a contact is upserted, then put on a list or given an event."""
