"""How frames of bytes get from one rank to another, and memory that ranks share."""
