"""Graph -> Program -> Firmware: passes, memory plan, kernels bound, C emitted, compiled, linked."""
