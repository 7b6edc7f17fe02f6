"""From records on disk to verdicts, tables and figures."""
