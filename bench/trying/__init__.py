"""The contract test of a study: what must hold before hours are spent on it, asked in half a minute."""
