"""Tests of Hextune."""
