"""Looks at every stage and changes nothing: inputs, reports, tables, comparison by layer."""
