"""Customer.io's Pipelines API: identify, then track."""
