"""RouterEval: the benchmark of LLM routers."""
