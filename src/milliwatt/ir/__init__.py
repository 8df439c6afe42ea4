"""What a network is: graph, types, operators, verification, text form and reference executor."""
