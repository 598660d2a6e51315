"""Models: the catalogue, the sources that models are fetched from, and the folder that stores them."""
