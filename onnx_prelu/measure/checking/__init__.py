"""Two models compared, output by output and site by site."""
