"""The command line: one app a file, flags defined only here."""
