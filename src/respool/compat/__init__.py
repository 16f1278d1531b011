"""Faces of other libraries on ours."""
