"""Webhooks: events posted to a tenant's URL, signed. Alerts to operators use them too."""
