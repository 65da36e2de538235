"""What `scripts/distill_mini.py` is made of."""
