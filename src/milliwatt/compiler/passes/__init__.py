"""Graph-to-graph passes: a file and a public function each, no state; `pipeline` orders them."""
