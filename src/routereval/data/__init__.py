"""What a routing problem is made of: scores, queries, splits, pools, scenarios, and the store that keeps them."""
