"""What stands in one model and not in another, or stands there otherwise: read from the files, nothing is run."""
