"""From instructions to cycles: decoders, a table for each core, rules between neighbours."""
