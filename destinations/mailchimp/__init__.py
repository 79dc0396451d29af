"""Mailchimp as a destination: a contact gets its status in an audience, or an event."""
