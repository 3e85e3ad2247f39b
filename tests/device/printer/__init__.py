"""Tests of the receipt printer's driver."""
