"""What is true: rays, forms, lanes, grouping and slope recovery. numpy in, numpy out."""
