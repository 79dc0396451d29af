"""Resend as a destination: contacts, their segments and events, and mails from templates."""
