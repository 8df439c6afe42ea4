"""Graph-to-graph passes: one file each, one public function each, no state. The order is in `pipeline`."""
