"""Reads lists of readers from CSV files as other newsletter services export them."""
