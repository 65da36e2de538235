"""Many pictures of one command: which, called what, in what order, and what is left of them."""
