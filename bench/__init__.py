"""Measurements that the README and the changelog quote; `make bench` runs them into bench/results."""
