"""How good a result is: measures, and a protocol that measures methods on pairs of pictures."""
