"""Rows: what they hold, where they are kept, and the machine they were made on."""
