"""The command line: `jidcl VERB`, one file a verb. Imports no JAX."""
