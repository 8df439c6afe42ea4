"""Machines that run firmware without hardware: Firmware and inputs in, Trace out."""
