"""Fuzzing of every reader: inputs, mutations, readers, and the one promise that all of them owe."""
