"""Where data come from: official archives, leaderboards, tables, synthetic ones. Each makes a ``BenchmarkData``."""
