"""What a run is told: settings, published recipes, and the words that both are written in."""
