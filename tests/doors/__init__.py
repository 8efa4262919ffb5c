"""Tests of the doors layer."""
