"""Temporal itself: connecting, converting, search attributes, the development server."""
