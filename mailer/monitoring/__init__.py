"""Reads the state of the installation for people and for monitoring. Changes nothing."""
