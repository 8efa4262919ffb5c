"""Tests of the contracts layer."""
