"""Geometry against closed forms, laws, and numbers of 60 digits."""
