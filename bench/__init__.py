"""Measurements that the documents quote; `make bench` runs them into bench/results."""
