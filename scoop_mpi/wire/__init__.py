"""What travels between ranks: messages, and objects as bytes."""
