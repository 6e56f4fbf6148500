"""The compiled inner loops: oracles of many pools at once, and training one sample at a time as published."""
