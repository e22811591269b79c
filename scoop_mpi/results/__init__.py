"""How results are taken: what a map returns, and which futures are done."""
