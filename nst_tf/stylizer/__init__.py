"""One pass in place of hundreds of evaluations: the network that paints, and how it is trained."""
