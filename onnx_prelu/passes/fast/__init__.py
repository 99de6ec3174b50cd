"""Forms that are worth their trouble for speed alone: they change the layers around a site, or the order of ops."""
